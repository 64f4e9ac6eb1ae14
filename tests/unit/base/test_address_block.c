#include "reconciler/base/address_block.h"

#include <CUnit/Basic.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static struct address_block block(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(2)};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return address_block_of((const struct sockaddr *)&in);
    CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_block_of((const struct sockaddr *)&in6);
}

static bool is_same(const char *one, const char *other)
{
    struct address_block a = block(one), b = block(other);
    bool is_equal = address_block_equal(&a, &b);

    CU_ASSERT_EQUAL(is_equal, address_block_hash(&a, 7) == address_block_hash(&b, 7));
    return is_equal;
}

static void test_same(void)
{
    const struct sockaddr_un local = {.sun_family = AF_UNIX};

    CU_ASSERT_TRUE(is_same("192.0.2.1", "192.0.2.1"));
    CU_ASSERT_TRUE(is_same("192.0.2.1", "::ffff:192.0.2.1"));
    CU_ASSERT_FALSE(is_same("192.0.2.1", "192.0.2.2"));
    CU_ASSERT_TRUE(is_same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2"));
    CU_ASSERT_FALSE(is_same("2001:db8:0:1::1", "2001:db8:0:2::1"));
    CU_ASSERT_EQUAL(address_block_of((const struct sockaddr *)&local).family, 0);
}

static bool meets(const char *address, const char *text)
{
    const struct address_block b = block(address);

    return address_block_meets(&b, text);
}

static void test_meets(void)
{
    const struct address_block none = {0};

    CU_ASSERT_TRUE(meets("192.0.2.1", "192.0.2.1"));
    CU_ASSERT_FALSE(meets("192.0.2.1", "192.0.2.2"));
    CU_ASSERT_TRUE(meets("192.0.2.129", "192.0.2.128/25"));
    CU_ASSERT_FALSE(meets("192.0.2.127", "192.0.2.128/25"));
    CU_ASSERT_TRUE(meets("203.0.113.9", "0.0.0.0/0"));
    CU_ASSERT_FALSE(meets("192.0.2.1", "::/0"));
    CU_ASSERT_TRUE(meets("2001:db8:0:1::9", "2001:db8::/32"));
    CU_ASSERT_FALSE(meets("2001:db9::1", "2001:db8::/32"));
    CU_ASSERT_TRUE(meets("2001:db8::9", "2001:db8::1")); /* of the same /64 */
    CU_ASSERT_TRUE(meets("2001:db8::9", "2001:db8::1/127"));
    CU_ASSERT_FALSE(meets("192.0.2.1", "unix:"));
    CU_ASSERT_FALSE(meets("192.0.2.1", ""));
    CU_ASSERT_FALSE(address_block_meets(&none, "0.0.0.0/0"));
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"one party", test_same}, {"blocks and texts", test_meets}, CU_TEST_INFO_NULL};
    CU_SuiteInfo suites[] = {{.pName = "address_block", .pTests = tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() || CU_register_suites(suites))
        return 1;
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    return CU_get_number_of_failures() ? 1 : 0;
}
