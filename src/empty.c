/* Stands in until the first room has content. */
extern int rdl__empty;
int rdl__empty;
