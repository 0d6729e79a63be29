/* SPDX-License-Identifier: ISC */
/* Part of `dovad -t`: which folders that the configuration wants written may the keeper not write to? */
#ifndef DOVAD_SURVEY_H
#define DOVAD_SURVEY_H

#include <stdio.h>

#include "core/conf.h"

/* Asks the keeper behind this socket, as root; where nobody listens nothing is told. Each problem is a line FILE:LINE: warning: text. */
void survey_report(const struct conf *conf, const char *keeper_socket, FILE *err);

#endif
