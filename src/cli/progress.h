/*
 * What long work is at: one line on stderr that is written over, where stderr is a terminal.
 */
#ifndef RADDLE_CLI_PROGRESS_H
#define RADDLE_CLI_PROGRESS_H

/** Shows a line in place of the last one. */
void progress_show(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Takes the line away; to stand before other output. */
void progress_clear(void);

#endif
