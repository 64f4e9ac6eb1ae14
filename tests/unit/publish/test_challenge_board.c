/* Challenges counted by owner, and who is told when. */
#include "reconciler/publish/challenge_board.h"

#include <CUnit/Basic.h>
#include <stdio.h>

static uint64_t told[16];
static size_t told_count;

static void served(void *context, uint64_t owner)
{
    CU_ASSERT_PTR_EQUAL(context, told);
    CU_ASSERT_FATAL(told_count < 16);
    told[told_count++] = owner;
}

static struct challenge_board *board(void)
{
    struct challenge_board *b = challenge_board_new(1u << CHALLENGE_HTTP_01, served, told);

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    told_count = 0;
    return b;
}

static int put(struct challenge_board *b, uint64_t owner, const char *token, const char *payload,
               struct error *e)
{
    const struct challenge c = {.kind = CHALLENGE_HTTP_01,
                                .name = STR("a.test"),
                                .token = str_from(token),
                                .payload = str_from(payload)};

    return challenge_board_put(b, owner, &c, e);
}

static bool has(const struct challenge_board *b, const char *token)
{
    return challenge_board_find(b, CHALLENGE_HTTP_01, str_from(token)).ptr != NULL;
}

static void shared(void)
{
    struct challenge_board *b = board();
    struct error e;

    CU_ASSERT_EQUAL(put(b, 1, "one", "one.key", &e), 0);
    CU_ASSERT_EQUAL(put(b, 2, "one", "one.key", &e), 0);
    CU_ASSERT_EQUAL(put(b, 1, "two", "two.key", &e), 0);
    CU_ASSERT_EQUAL(challenge_board_count(b), 2);
    challenge_board_is_written(b);
    CU_ASSERT_TRUE(challenge_board_withdraw(b, 1)); /* "two" was its alone */
    CU_ASSERT_TRUE(has(b, "one"));
    CU_ASSERT_FALSE(has(b, "two"));
    CU_ASSERT_TRUE(
        str_equal_cstr(challenge_board_find(b, CHALLENGE_HTTP_01, STR("one")), "one.key"));
    challenge_board_is_written(b);
    CU_ASSERT_FALSE(challenge_board_withdraw(b, 1)); /* nothing is left of it */
    CU_ASSERT_TRUE(challenge_board_withdraw(b, 2));
    CU_ASSERT_FALSE(has(b, "one"));
    challenge_board_free(b);
}

static void told_in_its_generation(void)
{
    struct challenge_board *b = board();
    struct error e;

    CU_ASSERT_FALSE(challenge_board_waits(b));
    CU_ASSERT_EQUAL(put(b, 1, "one", "one.key", &e), 0);
    CU_ASSERT_TRUE(challenge_board_waits(b));
    challenge_board_name(b, 0, 7);
    CU_ASSERT_FALSE(challenge_board_waits(b));
    CU_ASSERT_EQUAL(put(b, 2, "one", "one.key", &e), 0); /* out, but not known to be served */
    CU_ASSERT_TRUE(challenge_board_waits(b));
    challenge_board_acknowledged(b, 6);
    CU_ASSERT_EQUAL(told_count, 0);
    challenge_board_acknowledged(b, 7);
    CU_ASSERT_EQUAL(told_count, 1);
    CU_ASSERT_EQUAL(told[0], 1);
    challenge_board_name(b, 0, 8);
    challenge_board_name(b, 8, 0); /* it could not be announced */
    challenge_board_acknowledged(b, 9);
    CU_ASSERT_EQUAL(told_count, 1);
    challenge_board_name(b, 0, 9);
    challenge_board_acknowledged(b, 9);
    challenge_board_acknowledged(b, 9); /* once */
    CU_ASSERT_EQUAL(told_count, 2);
    CU_ASSERT_EQUAL(told[1], 2);
    CU_ASSERT_EQUAL(put(b, 2, "one", "one.key", &e), 0); /* asks again */
    challenge_board_name(b, 0, 10);
    challenge_board_acknowledged(b, 10);
    CU_ASSERT_EQUAL(told_count, 3);
    challenge_board_free(b);
}

static void refused(void)
{
    const struct challenge alpn = {CHALLENGE_TLS_ALPN_01, STR("a.test"), STR("t"), STR("p")};
    struct challenge_board *b = board();
    struct error e;

    CU_ASSERT_EQUAL(challenge_board_put(b, 1, &alpn, &e), -1);
    CU_ASSERT_STRING_EQUAL(e.message, "no receiver serves challenges of this kind");
    CU_ASSERT_EQUAL(put(b, 1, "one", "one.key", &e), 0);
    CU_ASSERT_EQUAL(put(b, 2, "one", "other.key", &e), -1);
    CU_ASSERT_STRING_EQUAL(e.message,
                           "the challenge is out already with another key authorization");
    CU_ASSERT_TRUE(
        str_equal_cstr(challenge_board_find(b, CHALLENGE_HTTP_01, STR("one")), "one.key"));
    CU_ASSERT_FALSE(has(b, "t"));
    challenge_board_free(b);
}

/* The same token and the same name are two challenges where the kinds are two. */
static void kinds(void)
{
    const struct challenge http = {CHALLENGE_HTTP_01, STR("a.test"), STR("t"), STR("t.key")};
    const struct challenge alpn = {CHALLENGE_TLS_ALPN_01, STR("a.test"), STR("t"), STR("t.key")};
    const struct challenge other = {CHALLENGE_TLS_ALPN_01, STR("a.test"), STR("u"), STR("u.key")};
    struct challenge_board *b =
        challenge_board_new(1u << CHALLENGE_HTTP_01 | 1u << CHALLENGE_TLS_ALPN_01, served, told);
    struct segment_challenge list[2];
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_EQUAL(challenge_board_put(b, 1, &http, &e), 0);
    CU_ASSERT_EQUAL(challenge_board_put(b, 2, &alpn, &e), 0);
    CU_ASSERT_EQUAL(challenge_board_put(b, 3, &other, &e), -1); /* one handshake, one answer */
    CU_ASSERT_EQUAL_FATAL(challenge_board_count(b), 2);
    challenge_board_list(b, list);
    CU_ASSERT_EQUAL(list[0].kind, CHALLENGE_HTTP_01);
    CU_ASSERT_TRUE(str_equal(list[0].key, STR("t")));
    CU_ASSERT_EQUAL(list[1].kind, CHALLENGE_TLS_ALPN_01);
    CU_ASSERT_TRUE(str_equal(list[1].key, STR("a.test")));
    CU_ASSERT_TRUE(str_equal(list[1].payload, STR("t.key")));
    challenge_board_withdraw(b, 1);
    CU_ASSERT_PTR_NULL(challenge_board_find(b, CHALLENGE_HTTP_01, STR("t")).ptr);
    CU_ASSERT_PTR_NOT_NULL(challenge_board_find(b, CHALLENGE_TLS_ALPN_01, STR("a.test")).ptr);
    challenge_board_free(b);
}

static void bounded(void)
{
    struct challenge_board *b = board();
    struct segment_challenge *list = calloc(CHALLENGE_BOARD_MAX, sizeof(*list));
    char token[32];
    struct error e;

    CU_ASSERT_PTR_NOT_NULL_FATAL(list);
    for (unsigned i = 0; i < CHALLENGE_BOARD_MAX - 1; i++) {
        snprintf(token, sizeof(token), "token-%u", i);
        CU_ASSERT_EQUAL_FATAL(put(b, i, token, "key", &e), 0);
    }
    CU_ASSERT_EQUAL(put(b, CHALLENGE_BOARD_MAX, "token-0", "key", &e), 0); /* its owners count */
    CU_ASSERT_EQUAL(put(b, 1, "more", "key", &e), -1);
    CU_ASSERT_EQUAL(e.kind, ERROR_LIMIT);
    CU_ASSERT_EQUAL(put(b, 1, "token-1", "key", &e), 0); /* no more than before */
    challenge_board_withdraw(b, 5);
    CU_ASSERT_EQUAL(put(b, 1, "more", "key", &e), 0);
    CU_ASSERT_EQUAL(challenge_board_count(b), CHALLENGE_BOARD_MAX - 1);
    challenge_board_list(b, list);
    CU_ASSERT_TRUE(str_equal_cstr(list[0].payload, "key"));
    free(list);
    challenge_board_free(b);
}

int main(void)
{
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    suite = CU_add_suite("publish/challenge_board", NULL, NULL);
    CU_add_test(suite, "shared", shared);
    CU_add_test(suite, "told in its generation", told_in_its_generation);
    CU_add_test(suite, "refused", refused);
    CU_add_test(suite, "kinds", kinds);
    CU_add_test(suite, "bounded", bounded);
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
