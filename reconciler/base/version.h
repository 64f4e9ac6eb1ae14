#pragma once

/* The one place that says which reconcert this is: `version`, the man page, Server, User-Agent. */
#define VERSION_TEXT "0.1.0"
#define VERSION_PRODUCT "reconcert/" VERSION_TEXT
/* Of the man page; fixed: the same tree, the same bytes. */
#define VERSION_DATE "November 24, 2026"
