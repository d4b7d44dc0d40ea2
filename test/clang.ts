/** Compiles C for BPF in tests, with whatever compilers this machine has. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Names of the clangs that can target BPF, newest first. */
export const clangs: readonly string[] = ['clang-22', 'clang-19', 'clang-16', 'clang-14', 'clang'].filter(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
);

/** For the title of a test that is skipped without one. */
export const noClang = clangs.length === 0 ? ' (skipped: no clang)' : '';

export interface CompileOptions {
  readonly clang?: string;
  readonly cpu?: 'v1' | 'v2' | 'v3' | 'v4';
  readonly flags?: readonly string[];
}

/** The object file's bytes. Throws with the compiler's messages if it does not compile. */
export function compileBpf(source: string, options: CompileOptions = {}): Uint8Array {
  return withTempFolder((folder) => {
    const input = join(folder, 'prog.bpf.c');
    const output = join(folder, 'prog.bpf.o');
    writeFileSync(input, source);
    const clang = options.clang ?? clangs[0];
    if (clang === undefined) throw new Error('no clang on this machine');
    const args = ['-target', 'bpf', '-O2', '-g', `-mcpu=${options.cpu ?? 'v3'}`, ...(options.flags ?? [])];
    execFileSync(clang, [...args, '-c', input, '-o', output], { stdio: ['ignore', 'pipe', 'pipe'] });
    return new Uint8Array(readFileSync(output));
  });
}

/** A folder for the length of one call. */
export function withTempFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  try {
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What programs in tests include, so that they need no system headers. */
export const prelude = `
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
typedef signed char s8; typedef short s16; typedef int s32; typedef long long s64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __hidden __attribute__((visibility("hidden")))
#define __weak __attribute__((weak))
#define __noinline __attribute__((noinline))
#define __ksym __attribute__((section(".ksyms")))
#define __kconfig __attribute__((section(".kconfig")))
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_trace_printk)(const char *fmt, u32 size, ...) = (void *)6;
static long (*bpf_loop)(u32 n, void *callback, void *ctx, u64 flags) = (void *)181;
`;
