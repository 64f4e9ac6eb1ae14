"""The floors of design.md section 3, as data for floors.py."""

# The rooms: folders, and files outside of them; the longest match wins.
PLACES = {
    "spec/": "spec",
    "reconciler/base/": "base",
    "reconciler/core/": "core",
    "reconciler/pki/": "pki",
    "reconciler/acme/": "acme",
    "reconciler/net/": "net",
    "reconciler/snapshot/": "snapshot",
    "reconciler/store/": "store",
    "reconciler/storage/": "storage",
    "reconciler/io/": "io",
    "reconciler/publish/": "publish",
    "reconciler/issue/": "issue",
    "reconciler/feed/": "feed",
    "reconciler/admin/": "admin",
    "reconciler/control/": "control",
    "reconciler/serve/": "serve",
    "reconciler/watcher/": "watcher",
    "reconciler/settings/": "settings",
    "reconciler/supervisor/": "supervisor",
    "reconciler/cli/": "cli",
    "reconciler/main.c": "main",
}

LOWER = ["base", "spec", "core", "pki", "acme", "net", "snapshot", "store", "storage", "io"]
LOWER += ["publish", "issue", "feed", "admin", "settings", "supervisor"]

# Room -> rooms that it may include beside itself; a name with .h is one header of a room.
INCLUDES = {
    "base": [],
    "spec": ["base"],
    "core": ["base", "spec/model.h"],
    "pki": ["base"],
    "acme": ["base", "pki"],
    "net": ["base", "pki"],
    "snapshot": ["base"],
    "store": ["base", "pki"],
    "storage": ["base", "pki", "net", "io"],
    "io": ["base", "pki"],
    "publish": ["base", "pki", "snapshot", "store", "reconciler/io/job.h"],
    "issue": ["base", "pki", "acme", "store", "io"],
    "feed": ["base", "net"],
    "admin": ["base", "net", "core", "store"],
    "serve": ["base", "pki", "net", "snapshot"],
    "watcher": [],
    "settings": ["base"],
    "supervisor": ["base", "settings"],
    "control": LOWER,
    "cli": [*LOWER, "control", "serve"],
    "main": ["base", "cli"],
}

# Header of a library -> the library. What is not here is libc.
LIBRARIES = {
    "yaml.h": "libyaml",
    "openssl/ssl": "libssl",
    "openssl/tls": "libssl",
    "openssl/": "libcrypto",
    "curl/": "libcurl",
    "cjson/": "cJSON",
    "event2/": "libevent",
    "nghttp2/": "nghttp2",
    "pcre2": "PCRE2",
    "seccomp.h": "libseccomp",
    "cap-ng.h": "libcap-ng",
    "ares": "c-ares",
    "libpsl.h": "libpsl",
    "zlib.h": "zlib",
    "inotifytools/": "libinotifytools",
    "ut": "uthash",
}

# `reconcert version` names their versions.
NAMED_BY_VERSION = ["c-ares", "cJSON", "libevent", "libpsl", "nghttp2", "libseccomp", "libyaml"]
NAMED_BY_VERSION += ["zlib", "PCRE2", "libcap-ng", "libssl"]

# Floor -> library -> the files that may include it; None = every file of the floor.
USES = {
    "spec": {
        "libyaml": ["spec/document.c"],
        "libcrypto": ["spec/resolve.c", "spec/identity.c"],
        "PCRE2": ["spec/regex.c"],
    },
    "core": {"libpsl": ["reconciler/core/policy.c"]},
    "pki": {"libcrypto": None},
    "acme": {
        "cJSON": ["reconciler/acme/message.c"],
        "libcrypto": None,  # a key is handed through, see SOME_SYMBOLS
    },
    "store": {"libcrypto": None},
    "storage": {
        "cJSON": ["reconciler/storage/value_json.c"],
        "libcrypto": None,
        "libevent": None,
        "zlib": None,
    },
    "io": {"libcurl": None, "c-ares": None, "libevent": None, "libcrypto": None},
    "serve": {
        "libssl": None,
        "libcrypto": None,
        "nghttp2": None,
        "libevent": None,
        "PCRE2": ["reconciler/serve/router.c"],
        "libseccomp": ["reconciler/serve/sandbox.c"],
        "libcap-ng": ["reconciler/serve/sandbox.c"],
    },
    "net": {"libssl": None, "libcrypto": None, "libevent": None, "nghttp2": None},
    "publish": {"libcrypto": None},
    "issue": {"libevent": None, "libcrypto": None},
    "feed": {"libevent": None},
    "admin": {"cJSON": ["reconciler/admin/body.c"], "libevent": None},
    "supervisor": {"libcap-ng": None},
    "watcher": {"libinotifytools": None},
    "control": {"libevent": None, "libcrypto": None},
    "cli": {
        "libcrypto": None,
        "libcurl": ["reconciler/cli/client/ask.c", "reconciler/cli/verbs/version.c"],
        **{library: ["reconciler/cli/verbs/version.c"] for library in NAMED_BY_VERSION},
    },
}

# Pure floors: what their objects may ask of libc. Everything else that is undefined in them must
# be defined by a floor that they may include, or belong to a library that they may use.
PURE = ["spec", "core", "pki", "acme", "snapshot", "store"]
PURE_SYMBOLS = """
 memcpy memmove memset memcmp memchr memrchr memmem mempcpy strlen strnlen strcmp strncmp
 strchr strrchr strstr strspn strcspn strpbrk strtol strtoul strtoll strtoull strtod inet_pton
 inet_ntop snprintf vsnprintf asprintf fprintf fwrite stderr
 malloc calloc realloc reallocarray free malloc_usable_size qsort qsort_r bsearch abort
 explicit_bzero __errno_location __isoc99_sscanf timegm gmtime_r
 floor ceil fmod llround lround round trunc pow log log2 exp isnan isinf frexp ldexp modf
 __stack_chk_fail _GLOBAL_OFFSET_TABLE_
 __memcpy_chk __memmove_chk __memset_chk __mempcpy_chk __snprintf_chk __vsnprintf_chk
 __fprintf_chk __explicit_bzero_chk __strcpy_chk __strncpy_chk __ctype_b_loc __ctype_tolower_loc
""".split()  # fprintf, stderr: BUG() alone
EXTRA_SYMBOLS = {
    # Chains are shared between the loop and the job thread.
    "pki": "pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock pthread_mutex_unlock".split(),
    # A segment is sealed memory; nothing that has a name in a file system.
    "snapshot": """memfd_create mmap munmap mprotect madvise mlock munlock ftruncate fcntl fcntl64
        fallocate close syscall sysconf pwrite pwrite64 pread pread64 write getpagesize
        getrandom""".split(),
    # A segment's descriptor; pages of keys that are left out of core dumps.
    "store": "close mmap munmap madvise mlock munlock".split(),
}
# Where a floor hands a library's objects through, all that it may do with them.
SOME_SYMBOLS = {"acme": {"libcrypto": ["EVP_PKEY_free", "EVP_PKEY_up_ref"]}}
# Symbol prefix -> library, for the same check.
LIBRARY_SYMBOLS = {
    "yaml_": "libyaml",
    "pcre2_": "PCRE2",
    "psl_": "libpsl",
    "cJSON": "cJSON",
    "SSL_": "libssl",
    "crc32": "zlib",
}
CRYPTO_PREFIXES = """
 EVP_ X509 PEM_ BIO_ ASN1_ OSSL_ OPENSSL_ CRYPTO_ ERR_ BN_ EC_ ECDSA_ RSA_ HMAC RAND_ OBJ_ d2i_ i2d_
 GENERAL_NAME SHA MD5 a2i_ i2a_ PKCS8 ECPKPARAMETERS BASIC_CONSTRAINTS AUTHORITY_KEYID INT
 ASN1
""".split()
# Of our own base, what a pure floor must not call: time, files, sockets, the log.
IMPURE = ["happening_", "log_", "clock_now", "clock_steady", "channel_", "descriptor_", "whole_"]

# floor -> prefixes of symbols that it must not use though it may include their header.
KEPT_FROM = {"serve": ["segment_write", "segment_build", "segment_merge"]}

# style.md 1.18, in all our C but tests.
BANNED = "strcpy strcat sprintf vsprintf strtok gets atoi atol atof alloca signal sleep usleep"
BANNED += " setjmp longjmp system popen tmpnam mktemp"
