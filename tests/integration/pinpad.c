/* A stand-in for an HSM with a PIN pad, which nothing in Debian is: SoftHSM, whose token says that
 * its PIN is typed at the device. A login without a PIN waits until one is written into the named
 * pipe $PIN_PAD; one with a PIN is refused, as no program is to know it.
 *
 * gcc -shared -fPIC -DMODULE='"/usr/lib/softhsm/libsofthsm2.so"' -o pinpad.so pinpad.c
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ulong_t;
typedef ulong_t (*call_t)(); /* with whatever arguments PKCS#11 v2.40 says */

enum { GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6, LOGIN = 18, FUNCTIONS = 68 };
enum { FLAGS_AT = 96, PROTECTED_AUTHENTICATION_PATH = 0x100 }; /* of CK_TOKEN_INFO */
enum { OK = 0, GENERAL_ERROR = 5, ARGUMENTS_BAD = 7 };

static struct {
    unsigned char version[2];
    call_t call[FUNCTIONS];
} *real, ours;

static ulong_t get_token_info(ulong_t slot, char *info)
{
    ulong_t result = real->call[GET_TOKEN_INFO](slot, info);
    if (result == OK)
        *(ulong_t *)(info + FLAGS_AT) |= PROTECTED_AUTHENTICATION_PATH;
    return result;
}

static ulong_t login(ulong_t session, ulong_t user, const char *pin, ulong_t length)
{
    char typed[256];
    FILE *pad;
    (void)length;
    if (pin != NULL)
        return ARGUMENTS_BAD;
    pad = fopen(getenv("PIN_PAD"), "r"); /* waits for somebody */
    if (pad == NULL || fgets(typed, sizeof typed, pad) == NULL)
        return GENERAL_ERROR;
    fclose(pad);
    return real->call[LOGIN](session, user, typed, (ulong_t)strlen(typed));
}

ulong_t C_GetFunctionList(void **list)
{
    if (real == NULL) {
        void *module = dlopen(MODULE, RTLD_NOW);
        call_t ask = module ? (call_t)dlsym(module, "C_GetFunctionList") : NULL;
        if (ask == NULL || ask(&real) != OK)
            return GENERAL_ERROR;
        memcpy(&ours, real, sizeof ours);
        ours.call[GET_FUNCTION_LIST] = (call_t)C_GetFunctionList;
        ours.call[GET_TOKEN_INFO] = (call_t)get_token_info;
        ours.call[LOGIN] = (call_t)login;
    }
    *list = &ours;
    return OK;
}
