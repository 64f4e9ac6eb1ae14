#pragma once

/* RFC 8555 §8.3, RFC 8737. */
enum challenge_kind { CHALLENGE_HTTP_01, CHALLENGE_TLS_ALPN_01 };
