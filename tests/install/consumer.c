/* A program that knows the library only as it was installed; also compiled as C++. */
#include <raddle/api.h>
#include <stdio.h>

int main(void)
{
    if (rdl_version() != RDL_VERSION) {
        fprintf(stderr, "library %u, header %u\n", (unsigned)rdl_version(), (unsigned)RDL_VERSION);
        return 1;
    }
    puts("versions agree");
    return 0;
}
