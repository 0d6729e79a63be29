/* SPDX-License-Identifier: ISC */
/* Which files fit together: names that are there once, references to what is there. Only for core/conf_link. */
#ifndef DOVAD_CORE_CONF_CHECK_H
#define DOVAD_CORE_CONF_CHECK_H

#include "core/conf_index.h"

/* Sets aside the files that do not fit, and tells of every file that is set aside, for whatever reason, what else is wrong with it. Afterwards the index
 * holds what the good ones define; when the main file is none of them nothing is worth a look. */
void conf_check(struct conf_index *x);

#endif
