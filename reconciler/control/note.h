#pragma once

#include <stdbool.h>

#include "reconciler/base/buf.h"
#include "reconciler/base/error.h"
#include "reconciler/base/str.h"
#include "reconciler/settings/settings.h"
#include "spec/model.h"

struct desired;
struct policy;

/*
 * Things that are worth a sentence and are no problem of the file. `run` and `check` say them once,
 * on stderr.
 */

/*
 * http-01 asks port 80 of every name: true, with the sentence appended, where nothing of ours
 * listens there and port_maps does not lead there. Silent without an acme plugin in the file, and
 * with acme_server, whose CA may ask another port (design 6).
 */
bool note_http01_port(const struct settings *s, const struct model *model, struct buf *out);

/*
 * Where the acme plugin manages nothing, since no name can pass its gate; else the hosts of routes
 * that visitors get no certificate for, since the gate does not let them through.
 */
bool note_gate(const struct model *model, const struct desired *desired, struct buf *out);

/*
 * Declared certificates of which no key type is valid now; SNIs that a certificate does not cover,
 * of all or of those that stand for the name `about`. Returns how many, with the first of them
 * appended in words.
 */
size_t note_invalid(const struct model *model, const struct policy *policy, int64_t now,
                    struct buf *out);
size_t note_mismatched(const struct model *model, struct str about, struct buf *out);

/*
 * True, with the sentence appended, where the folder lies on a file system that is gone with the
 * machine or the container: what was obtained would be ordered again. `run` alone says it.
 */
bool note_fleeting_prefix(const char *prefix, struct buf *out);

/* An error's place, path and message as one line without an end, text from outside escaped. */
void note_error(const struct error *e, struct buf *out);
