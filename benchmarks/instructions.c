/* A plugin of QEMU that counts the instructions of a program. The difference of two lengths is the
 * instructions of an element. These commands count them for NEON:
 *
 *     cmake --preset arm64 && cmake --build --preset arm64
 *     gcc -O2 -shared -fPIC benchmarks/instructions.c -o build/instructions.so
 *     export LSTMGEN_ISA=neondot             # and neon
 *     for n in 100 200; do
 *         qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu -plugin build/instructions.so \
 *             build/arm64/cpp/tests/lstmgen_carried model.bin $n
 *     done
 */
#include <inttypes.h>
#include <stdio.h>

/* What qemu-plugin.h of QEMU 7 declares, which Debian does not ship. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* tb);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* tb, int operation, void* to, uint64_t number);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*on)(qemu_plugin_id_t, struct qemu_plugin_tb*));
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*on)(qemu_plugin_id_t, void*), void* user);

int qemu_plugin_version = 1;

static uint64_t count;

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &count, qemu_plugin_tb_n_insns(tb));
}

static void on_exit(qemu_plugin_id_t id, void* user) {
    (void)id;
    (void)user;
    fprintf(stderr, "%" PRIu64 " instructions\n", count);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc, char** argv) {
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    qemu_plugin_register_atexit_cb(id, on_exit, NULL);
    return 0;
}
