#pragma once

#include <stdint.h>

#include "address_block.h"
#include "attr.h"
#include "error.h"

/*
 * The messages between supervisor, control and workers: one SOCK_SEQPACKET pair each, made by the
 * supervisor for each control and each worker that it starts, so that whatever one of them did to
 * its end ends with it. All of it is host byte order between processes of one binary or of two
 * builds of it (upgrade): CHANNEL_FORMAT says which.
 *
 * Sessions. Either end may be replaced while old messages still wait in the socket. So control
 * numbers its relation to a slot: RESET{session} starts it, and every later message of both ends
 * carries that number. A worker that starts sends HELLO with session 0 and drops everything until a
 * RESET; on RESET it forgets the segments it was sent (it serves on with what it has mapped until
 * the next MANIFEST) and answers HELLO{session}. Control, on a HELLO{0}, sends RESET with the next
 * number (one of an older session is passed over: that worker has a newer RESET still to read); on
 * HELLO of the right one it sends all live segments and the manifest. Messages of another session
 * are dropped by both. The supervisor, which holds every end, tells a worker what to cover in no
 * session: control may be away.
 */
#define CHANNEL_FORMAT 2

#define CHANNEL_NAME_MAX 256   /* SNI, host */
#define CHANNEL_TOKEN_MAX 256  /* longer tokens are not well-formed for us */
#define CHANNEL_ANSWER_MAX 512 /* a key authorization: token "." thumbprint */
#define CHANNEL_SEGMENTS_MAX 96
#define CHANNEL_TICKET_KEYS 3
#define CHANNEL_TICKET_KEY_SIZE 80 /* SSL_CTX_set_tlsext_ticket_keys: name 16, AES 32, HMAC 32 */

enum channel_type {
    /* both ways between control and worker */
    CHANNEL_RESET = 1, /* control: a session begins */
    CHANNEL_HELLO,     /* worker: here I am, `pid` and `format` */
    /* control to worker */
    CHANNEL_SEGMENT, /* `segment` with its memfd attached */
    CHANNEL_MANIFEST,
    CHANNEL_TICKET_KEYS_SET,
    CHANNEL_TOKEN_ANSWER, /* to TOKEN_MISS: `token` with its answer, "" = there is none */
    /* worker to control; dropped and counted when the channel is full */
    CHANNEL_ACK = 8,    /* `generation` is mapped and served */
    CHANNEL_SNI_SEEN,   /* `sni`: a handshake that only the default certificate covered */
    CHANNEL_TOKEN_MISS, /* `token`: asked for by a gated `name`, not in the snapshot */
    /* control to supervisor */
    CHANNEL_READY,       /* the first generation stands: from now on my death is a restart */
    CHANNEL_WORKER_KILL, /* `slot` (`pid`; 0 = unknown) does not acknowledge: kill -9 and replace */
    CHANNEL_WORKER_READY, /* `slot`, `pid` serves the newest generation */
    /* supervisor to control */
    CHANNEL_STOP, /* finish within `bound_ms`: no new orders, flush storage, exit 0 */
    /* control to supervisor, worker to control; behind the others, whose numbers two builds share
     * in an upgrade */
    CHANNEL_BEAT, /* every second, from the start on: I go on */
    /* supervisor to worker, in no session */
    CHANNEL_COVER,   /* accept from this socket of `slot`, too, as from your own of `address` */
    CHANNEL_UNCOVER, /* and from those of `slot` no more */
    /* control to supervisor */
    CHANNEL_PREFIX, /* its folder has vanished: make it again */
    /* supervisor to control, in no session */
    CHANNEL_SLOT, /* who is in the slot; attached: control's end of the channel to a new worker */
    /* worker to control or, over an upgrade, to the new binary's supervisor */
    CHANNEL_DRAINS, /* I accept no more, and have closed connections that were idle */
};

/* A segment of a generation, sealed; `fd` is the lender's. */
struct channel_segment {
    uint64_t id, size;
    int fd;
};

struct channel_message {
    uint32_t type;   /* enum channel_type */
    uint32_t format; /* CHANNEL_FORMAT of the sender */
    uint64_t session;
    union {
        struct {
            int64_t pid;
        } hello;
        struct {
            uint64_t id;   /* never used twice in the life of a prefix' control */
            uint64_t size; /* of the memfd */
        } segment;
        struct {
            uint64_t generation;
            uint32_t count;
            uint64_t ids[CHANNEL_SEGMENTS_MAX]; /* newest first: the first that knows a key wins */
        } manifest;
        struct {
            uint32_t count; /* the first encrypts, all decrypt */
            unsigned char keys[CHANNEL_TICKET_KEYS][CHANNEL_TICKET_KEY_SIZE];
        } tickets;
        struct {
            uint64_t generation;
        } ack;
        struct {
            uint32_t slot;
            int64_t pid;
        } worker;
        struct {
            uint32_t slot;
            uint32_t has_old; /* a worker of the binary before this one still accepts there */
            int64_t pid;      /* 0 = nobody */
        } slot;
        struct {
            uint32_t slot;
            uint32_t address; /* of proxy_listen */
            int64_t pid;      /* whom it is for */
        } cover;
        struct {
            int64_t bound_ms; /* then the kill comes; 0 = not told */
        } stop;
        struct {
            char name[CHANNEL_NAME_MAX]; /* NUL-terminated, lower case */
            char token[CHANNEL_TOKEN_MAX];
            char answer[CHANNEL_ANSWER_MAX];
        } token;
        struct {
            char name[CHANNEL_NAME_MAX];
            struct address_block from; /* the client's */
        } sni;
    } u;
};

/*
 * Sends one message, with `fd` attached unless it is -1 (the caller keeps it). Never blocks.
 * 0; 1 when the channel is full: try again when it is writable, and a little later, for it may be
 * the kernel that is; -1 with *e when the other end is gone.
 */
int channel_send(int channel, const struct channel_message *m, int fd, struct error *e) MUST_CHECK;

/*
 * Takes one message. *fd gets an attached descriptor (close-on-exec, the caller's) or -1.
 * 1 a message; 0 nothing there now; -1 with *e: ERROR_PROTOCOL where the other end sent garbage
 * (wrong or no size, unknown type, strings that do not end), which is never handed out, and the
 * next message may be taken; else that end is gone.
 * A message of another CHANNEL_FORMAT is handed out with its type as 0 for the caller to refuse.
 */
int channel_receive(int channel, struct channel_message *m, int *fd, struct error *e) MUST_CHECK;

/*
 * A non-blocking, close-on-exec SOCK_SEQPACKET pair with send buffers that hold a few hundred
 * messages.
 */
int channel_pair(int ends[2], struct error *e) MUST_CHECK;
