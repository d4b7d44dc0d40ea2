/** The running kernel's options and version, for `.kconfig` externs. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { InputError } from '../errors.ts';
import { kconfigLayout } from '../object/externs.ts';
import type { ExternSpec } from '../object/spec.ts';
import { type KconfigValues, kconfigBytes } from '../runtime/kconfig.ts';

let options: KconfigValues | undefined;

/** By name, as runtime/kconfig.ts takes them. Empty where the kernel does not show its configuration. */
export function kernelOptions(): KconfigValues {
  options ??= parseOptions(readConfig() ?? '');
  return options;
}

function readConfig(): string | undefined {
  if (existsSync('/proc/config.gz')) return gunzipSync(readFileSync('/proc/config.gz')).toString('latin1');
  const path = `/boot/config-${release()}`;
  return existsSync(path) ? readFileSync(path, 'latin1') : undefined;
}

/** `NAME=value` lines; text loses its quotes, options that are not set are left out. */
export function parseOptions(text: string): KconfigValues {
  const values: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/^(CONFIG_\w+)=(.*)$/gm))
    values[name!] = value!.startsWith('"') ? value!.slice(1, -1).replace(/\\(.)/g, '$1') : value!;
  return values;
}

/** LINUX_VERSION_CODE of `uname -r`: a patch level above 255 counts as 255 (include/generated/uapi/linux/version.h). */
export function versionCode(text = release()): number {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  if (match === null) throw new InputError('SLUICE_LINUX_VERSION', `kernel release "${text}"`);
  return (Number(match[1]) << 16) | (Number(match[2]) << 8) | Math.min(255, Number(match[3] ?? 0));
}

/** What this machine's kernel answers: its version, its options, and the features that libbpf answers for by name (tools/lib/bpf/libbpf.c). */
export function kernelKconfigValues(): KconfigValues {
  return {
    ...kernelOptions(),
    LINUX_KERNEL_VERSION: String(versionCode()),
    // Architectures whose system calls take pt_regs (CONFIG_ARCH_HAS_SYSCALL_WRAPPER): 4.17 and 4.19.
    LINUX_HAS_SYSCALL_WRAPPER: '1',
    // Linux 5.15.
    LINUX_HAS_BPF_COOKIE: '1',
  };
}

/** Bytes of one extern on this machine; `given` wins over the kernel's own. */
export function kernelKconfigBytes(extern: ExternSpec, given: KconfigValues): Uint8Array {
  return kconfigBytes(extern, { ...kernelKconfigValues(), ...given });
}

/** Contents of the map `.kconfig` on this machine. Throws InputError for an option that must be there and is not. */
export function kernelKconfig(externs: ReadonlyMap<string, ExternSpec>, given: KconfigValues = {}): Uint8Array {
  const { offsets, size } = kconfigLayout(externs);
  const bytes = new Uint8Array(size);
  for (const [name, offset] of offsets) bytes.set(kernelKconfigBytes(externs.get(name)!, given), offset);
  return bytes;
}
