/*
 * The status page as it is sent. Made at build time of what is in lb/admin/page, in one piece: its
 * style and its script are within.
 */
#ifndef LB_ADMIN_PAGE_H
#define LB_ADMIN_PAGE_H

extern const char page_text[];   /* HTML, UTF-8 */
extern const char page_policy[]; /* the Content-Security-Policy that lets it do what it does */

#endif
