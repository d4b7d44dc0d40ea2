/** Values of `.kconfig` externs for the user-space target: libbpf's special names, and options that the caller gives. */
import { InputError } from '../errors.ts';
import { kconfigLayout } from '../object/externs.ts';
import type { ExternSpec, ObjectSpec } from '../object/spec.ts';
import { MAX_CPUS } from '../plane/layout/memory.ts';

/** Linux version that the user-space target answers for, as LINUX_KERNEL_VERSION encodes it. */
export const MODELLED_KERNEL_VERSION = (6 << 16) | (18 << 8);

/** By name, LINUX_KERNEL_VERSION and the like among them, without the surrounding quotes: `y`, `m`, `n`, a number in C notation, or text. */
export type KconfigValues = Readonly<Record<string, string>>;

/** Options of the kernel that the user-space target stands for; the caller's values go before. */
export const modelledOptions: KconfigValues = {
  LINUX_KERNEL_VERSION: String(MODELLED_KERNEL_VERSION),
  CONFIG_64BIT: 'y',
  CONFIG_BPF: 'y',
  CONFIG_BPF_JIT: 'y',
  CONFIG_BPF_SYSCALL: 'y',
  CONFIG_DEFAULT_HOSTNAME: '(none)',
  // As bpf_jiffies64 counts.
  CONFIG_HZ: '250',
  CONFIG_INET: 'y',
  CONFIG_IPV6: 'y',
  CONFIG_NET: 'y',
  CONFIG_NR_CPUS: String(MAX_CPUS),
  CONFIG_XDP_SOCKETS: 'y',
};

/**
 * The bytes of one extern, `extern.size` of them. A weak one without a value is zero; a strong one throws InputError.
 */
export function kconfigBytes(extern: ExternSpec, values: KconfigValues): Uint8Array {
  const bytes = new Uint8Array(extern.size);
  const given = values[extern.name] ?? modelledOptions[extern.name];
  if (given === undefined) {
    if (extern.weak || extern.name.startsWith('LINUX_HAS_')) return bytes;
    throw new InputError(
      'SLUICE_KCONFIG_MISSING',
      `the program needs the kernel option ${extern.name}, which has no value here; give it with the kconfig option`,
    );
  }
  const number = given === 'y' ? 1n : given === 'n' ? 0n : given === 'm' ? 2n : parseInteger(given);
  if (number === undefined) {
    const text = new TextEncoder().encode(given);
    bytes.set(text.subarray(0, Math.max(0, extern.size - 1)));
    return bytes;
  }
  let rest = BigInt.asUintN(64, number);
  for (let i = 0; i < extern.size && i < 8; i++) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** Contents of the map `.kconfig`. Throws as `kconfigBytes` does. */
export function kconfigContents(externs: ReadonlyMap<string, ExternSpec>, values: KconfigValues): Uint8Array {
  const { offsets, size } = kconfigLayout(externs);
  const bytes = new Uint8Array(size);
  for (const [name, offset] of offsets) bytes.set(kconfigBytes(externs.get(name)!, values), offset);
  return bytes;
}

/** The object as the verifier has to see it: the options are constants by then, and rule out branches. */
export function withKconfig(object: ObjectSpec, values: KconfigValues): ObjectSpec {
  const map = object.maps.get('.kconfig');
  if (map === undefined) return object;
  const bytes = kconfigContents(object.externs, values);
  return { ...object, maps: new Map(object.maps).set(map.name, { ...map, contents: { kind: 'bytes', bytes } }) };
}

function parseInteger(text: string): bigint | undefined {
  return /^-?(0x[0-9a-f]+|\d+)$/i.test(text)
    ? text.startsWith('-')
      ? -BigInt(text.slice(1))
      : BigInt(text)
    : undefined;
}
