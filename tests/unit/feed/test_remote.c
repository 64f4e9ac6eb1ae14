/*
 * A receiver elsewhere, as a link between machines would make one: it gets bytes, a little at a
 * time, and seals segments of its own.
 */

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reconciler/base/channel.h"
#include "reconciler/feed/feed.h"
#include "reconciler/feed/receiver.h"
#include "tests/fakes/fake_time.h"

#define SEGMENT_BYTES 300000
#define PIECE 4096
#define HELD_MAX 8
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static struct event_base *base;
static struct feed *feed;
static int acknowledged;

/* This end. On the wire: a whole message, behind a segment's its bytes; back: generations. */
struct link {
    struct receiver receiver;
    int channel;
    struct event *writable, *readable;
    struct channel_message message;
    size_t message_left;
    int segment; /* whose bytes go out; -1 = none */
    uint64_t segment_at, segment_size;
    bool is_late;
};

/* The other end. */
struct far {
    int channel;
    struct channel_message message;
    size_t message_got;
    uint64_t segment_got;
    struct {
        uint64_t id;
        int fd;
    } held[HELD_MAX];
    size_t held_count;
    uint64_t generation;
    size_t tickets, segments; /* messages that came */
};

static bool is_busy(const struct link *l)
{
    return l->message_left || l->segment >= 0;
}

/* The next bytes of what is under way; false when there is no room. */
static bool push_piece(struct link *l)
{
    char piece[PIECE];
    const char *from = (const char *)&l->message + sizeof(l->message) - l->message_left;
    size_t size = l->message_left;
    ssize_t sent;

    if (!size) {
        ssize_t got = pread(l->segment, piece, sizeof(piece), (off_t)l->segment_at);
        CU_ASSERT_FATAL(got > 0);
        from = piece;
        size = (size_t)got;
    }
    sent = send(l->channel, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return false;
    if (l->message_left) {
        l->message_left -= (size_t)sent;
        return true;
    }
    l->segment_at += (uint64_t)sent;
    if (l->segment_at == l->segment_size) {
        close(l->segment);
        l->segment = -1;
    }
    return true;
}

static void push(struct link *l)
{
    while (is_busy(l))
        if (!push_piece(l)) {
            event_add(l->writable, NULL);
            return;
        }
}

static void on_writable(int fd, short what, void *context)
{
    struct link *l = context;

    (void)fd;
    (void)what;
    push(l);
    if (!is_busy(l))
        receiver_resume(&l->receiver);
}

static int link_send(void *context, struct channel_message *m)
{
    struct link *l = context;

    if (is_busy(l))
        return 1;
    l->message = *m;
    l->message_left = sizeof(l->message);
    push(l);
    return 0;
}

static int link_send_segment(void *context, const struct channel_segment *segment)
{
    struct link *l = context;

    if (is_busy(l))
        return 1;
    l->segment = dup(segment->fd);
    l->segment_at = 0;
    l->segment_size = segment->size;
    l->message = (struct channel_message){.type = CHANNEL_SEGMENT,
                                          .u.segment = {segment->id, segment->size}};
    l->message_left = sizeof(l->message);
    push(l);
    return 0;
}

static void link_late(void *context)
{
    ((struct link *)context)->is_late = true;
}

static const struct receiver_face face = {link_send, link_send_segment, link_late};

static void on_readable(int fd, short what, void *context)
{
    struct link *l = context;
    uint64_t generation;

    (void)what;
    while (recv(fd, &generation, sizeof(generation), MSG_DONTWAIT) == sizeof(generation))
        receiver_acknowledged(&l->receiver, generation);
}

static void link_open(struct link *l, struct far *far)
{
    int ends[2];

    *l = (struct link){.segment = -1};
    *far = (struct far){0};
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    l->channel = ends[0];
    far->channel = ends[1];
    l->writable = event_new(base, l->channel, EV_WRITE, on_writable, l);
    l->readable = event_new(base, l->channel, EV_READ | EV_PERSIST, on_readable, l);
    event_add(l->readable, NULL);
    feed_join(feed, &l->receiver, &face, l);
    receiver_begin(&l->receiver);
}

static void link_close(struct link *l, struct far *far)
{
    receiver_end(&l->receiver);
    feed_leave(&l->receiver);
    event_free(l->writable);
    event_free(l->readable);
    close(l->channel);
    close(far->channel);
    if (l->segment >= 0)
        close(l->segment);
    for (size_t i = 0; i < far->held_count; i++)
        close(far->held[i].fd);
}

/* ---- the other end ---- */

static int find_held(const struct far *f, uint64_t id)
{
    for (size_t i = 0; i < f->held_count; i++)
        if (f->held[i].id == id)
            return f->held[i].fd;
    return -1;
}

static void take_manifest(struct far *f)
{
    const struct channel_message *m = &f->message;

    for (uint32_t i = 0; i < m->u.manifest.count; i++)
        CU_ASSERT(find_held(f, m->u.manifest.ids[i]) >= 0);
    f->generation = m->u.manifest.generation;
    CU_ASSERT_EQUAL(send(f->channel, &f->generation, sizeof(f->generation), MSG_NOSIGNAL),
                    sizeof(f->generation));
}

static void take_message(struct far *f)
{
    const struct channel_message *m = &f->message;

    f->message_got = 0;
    if (m->type == CHANNEL_MANIFEST) {
        take_manifest(f);
    } else if (m->type == CHANNEL_SEGMENT) {
        CU_ASSERT_FATAL(f->held_count < HELD_MAX);
        f->segments++;
        f->segment_got = 0;
        f->held[f->held_count].id = m->u.segment.id;
        f->held[f->held_count++].fd = memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    } else {
        CU_ASSERT_EQUAL(m->type, CHANNEL_TICKET_KEYS_SET);
        f->tickets++;
    }
}

/* One read; false when nothing is there. */
static bool take_piece(struct far *f)
{
    bool in_segment = f->message.type == CHANNEL_SEGMENT && !f->message_got &&
                      f->segment_got < f->message.u.segment.size;
    char piece[PIECE];
    size_t left = in_segment ? f->message.u.segment.size - f->segment_got
                             : sizeof(f->message) - f->message_got;
    ssize_t got = recv(f->channel, piece, left < PIECE ? left : PIECE, MSG_DONTWAIT);
    int fd;

    if (got <= 0)
        return false;
    if (!in_segment) {
        memcpy((char *)&f->message + f->message_got, piece, (size_t)got);
        f->message_got += (size_t)got;
        if (f->message_got == sizeof(f->message))
            take_message(f);
        return true;
    }
    fd = f->held[f->held_count - 1].fd;
    CU_ASSERT_EQUAL(write(fd, piece, (size_t)got), got);
    f->segment_got += (uint64_t)got;
    if (f->segment_got == f->message.u.segment.size)
        CU_ASSERT_EQUAL(fcntl(fd, F_ADD_SEALS, SEALS), 0);
    return true;
}

static void turn(struct far *f)
{
    for (int i = 0; i < 400; i++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        while (f && take_piece(f))
            ;
    }
}

/* ---- tests ---- */

static void on_acknowledged(void *context)
{
    (void)context;
    acknowledged++;
}

/* A segment is SEGMENT_BYTES of its id's last byte. */
static void publish(uint64_t generation, const uint64_t *ids, size_t count)
{
    static char bytes[SEGMENT_BYTES];
    struct channel_segment segments[HELD_MAX];
    struct error e;

    for (size_t i = 0; i < count; i++) {
        memset(bytes, (int)ids[i], sizeof(bytes));
        segments[i] = (struct channel_segment){
            .id = ids[i], .size = sizeof(bytes), .fd = memfd_create("segment", MFD_CLOEXEC)};
        CU_ASSERT_EQUAL(write(segments[i].fd, bytes, sizeof(bytes)), SEGMENT_BYTES);
    }
    CU_ASSERT_EQUAL(feed_publish(feed, generation, segments, count, &e), 0);
    for (size_t i = 0; i < count; i++)
        close(segments[i].fd);
}

static void check_held(const struct far *f, uint64_t id)
{
    int fd = find_held(f, id);
    const unsigned char *bytes = mmap(NULL, SEGMENT_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    size_t same = 0;

    CU_ASSERT_PTR_NOT_EQUAL_FATAL(bytes, MAP_FAILED);
    while (same < SEGMENT_BYTES && bytes[same] == (unsigned char)id)
        same++;
    CU_ASSERT_EQUAL(same, SEGMENT_BYTES);
    CU_ASSERT_EQUAL(fcntl(fd, F_GET_SEALS), SEALS);
    munmap((void *)bytes, SEGMENT_BYTES);
}

static void begin(void)
{
    struct error e;

    acknowledged = 0;
    feed = feed_new(base, -1, &e);
    CU_ASSERT_PTR_NOT_NULL_FATAL(feed);
}

static void test_generations(void)
{
    struct link link;
    struct far far;

    begin();
    publish(1, (const uint64_t[]){1, 2}, 2);
    link_open(&link, &far);
    CU_ASSERT_EQUAL(feed_when_acknowledged(feed, 1, on_acknowledged, NULL), 0);
    turn(NULL);
    CU_ASSERT_EQUAL(acknowledged, 0);
    turn(&far);
    CU_ASSERT_EQUAL(acknowledged, 1);
    CU_ASSERT_EQUAL(far.tickets, 1);
    CU_ASSERT_EQUAL(far.segments, 2);
    publish(2, (const uint64_t[]){3, 2}, 2);
    turn(&far);
    CU_ASSERT_EQUAL(far.segments, 3); /* only what it lacked */
    CU_ASSERT_EQUAL(far.generation, 2);
    CU_ASSERT_EQUAL(feed_current(feed), 1);
    for (uint64_t id = 1; id <= 3; id++)
        check_held(&far, id);
    link_close(&link, &far);
    CU_ASSERT_EQUAL(feed_current(feed), 0);
    feed_free(feed);
}

/* What changes while a segment is on its way: the newest generation follows, whole. */
static void test_changes_on_the_way(void)
{
    struct link link;
    struct far far;

    begin();
    link_open(&link, &far);
    turn(&far);
    publish(1, (const uint64_t[]){1, 2}, 2);
    publish(2, (const uint64_t[]){3, 4}, 2);
    publish(3, (const uint64_t[]){5}, 1);
    turn(&far);
    CU_ASSERT_EQUAL(far.generation, 3);
    CU_ASSERT_EQUAL(far.segments, 2); /* the first one's beginning had left */
    check_held(&far, 5);
    link_close(&link, &far);
    feed_free(feed);
}

/* It comes and goes often while there is little room: nothing is lost, and no list runs over. */
static void test_many_changes(void)
{
    struct link link;
    struct far far;
    uint64_t generation = 0;

    begin();
    link_open(&link, &far);
    for (uint64_t i = 1; i <= RECEIVER_SENT_MAX + 10; i++) {
        publish(++generation, &i, 1);
        event_base_loop(base, EVLOOP_NONBLOCK);
        for (int k = 0; k < 100 && take_piece(&far); k++)
            ;
        for (; far.held_count > HELD_MAX / 2; far.held_count--) { /* it forgets the oldest */
            close(far.held[0].fd);
            memmove(far.held, far.held + 1, sizeof(far.held) - sizeof(far.held[0]));
        }
    }
    turn(&far);
    CU_ASSERT_EQUAL(far.generation, generation);
    link_close(&link, &far);
    feed_free(feed);
}

/* One that does not acknowledge is given up, and holds nobody up. */
static void test_late(void)
{
    struct link link, other;
    struct far far, reading;

    begin();
    publish(1, (const uint64_t[]){1}, 1);
    link_open(&link, &far);
    link_open(&other, &reading);
    CU_ASSERT_EQUAL(feed_when_acknowledged(feed, 1, on_acknowledged, NULL), 0);
    turn(&reading);
    while (far.message.type != CHANNEL_SEGMENT || far.segment_got < SEGMENT_BYTES)
        turn(take_piece(&far) ? NULL : &reading); /* all but the manifest */
    CU_ASSERT_EQUAL(acknowledged, 0);
    for (int ms = 0; ms < RECEIVER_ACK_TIMEOUT_MS + 1000; ms += 1000) {
        fake_time_pass(1000);
        turn(NULL);
    }
    CU_ASSERT_TRUE(link.is_late);
    CU_ASSERT_FALSE(other.is_late);
    CU_ASSERT_EQUAL(acknowledged, 1);
    link_close(&link, &far);
    link_close(&other, &reading);
    feed_free(feed);
}

int main(void)
{
    CU_TestInfo tests[] = {{"generations", test_generations},
                           {"changes on the way", test_changes_on_the_way},
                           {"many changes", test_many_changes},
                           {"late", test_late},
                           CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{"remote", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    int failed;

    base = event_base_new();
    if (!base || CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_run_tests();
    failed = CU_get_number_of_failures() != 0;
    CU_cleanup_registry();
    event_base_free(base);
    return failed;
}
