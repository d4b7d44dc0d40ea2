/** The map rules in abi/ against what BPF_MAP_CREATE of this machine's kernel takes. */
import { describe, expect, it } from 'vitest';
import { type MapFlagName, type MapRule, mapFlags, mapRules, type SizeRule } from '../src/abi/map-rules.ts';
import type { MapTypeName } from '../src/abi/map-types.ts';
import { loadBtf } from '../src/linux/bpf.ts';
import { createMap, type MapCreate, MapElements } from '../src/linux/bpf-maps.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { close } from '../src/linux/ffi.ts';
import { SyscallError } from '../src/linux/syscall-error.ts';

const refusal = bpfRefusal();
const PAGE = 4096;
const ENOENT = 2;

const fits = (rule: SizeRule, size: number) =>
  'oneOf' in rule
    ? rule.oneOf.includes(size)
    : size >= rule.min && size <= rule.max && (size - rule.min) % (rule.step ?? 1) === 0;

const smallest = (rule: SizeRule) => ('oneOf' in rule ? rule.oneOf[0]! : Math.max(rule.min, Math.min(8, rule.max)));

const fitsEntries = (rule: MapRule['entries'], entries: number) => {
  if (rule === 'none') return entries === 0;
  if (rule === 'pages') return entries % PAGE === 0 && entries > 0 && Number.isInteger(Math.log2(entries));
  return entries > 0 && (rule === 'any' || entries <= rule);
};

const bitsOf = (names: readonly MapFlagName[]) => names.reduce((bits, name) => bits | mapFlags[name], 0);

describe.skipIf(refusal !== undefined)(`map rules${refusal === undefined ? '' : ` (skipped: ${refusal})`}`, () => {
  /** BTF with an int (id 1) and, for values of any size, an array of chars (id 4) of that size. */
  const btfFor = (size: number) => {
    const int = (name: number, bytes: number) => [name, 1 << 24, bytes, bytes * 8];
    const types = [...int(1, 4), ...int(5, 1), 0, 3 << 24, 0, 2, 1, size];
    const words = [0x0001eb9f, 24, 0, types.length * 4, types.length * 4, 10, ...types];
    return loadBtf(
      new Uint8Array([...new Uint8Array(new Uint32Array(words).buffer), ...new TextEncoder().encode('\0int\0char\0')]),
    );
  };

  /** True if the kernel makes the map; what fails for want of memory counts as refused. */
  const makes = (type: MapTypeName, attributes: Omit<MapCreate, 'type'>, check: (fd: number) => void = () => {}) => {
    const open: number[] = [];
    try {
      if (type.endsWith('_of_maps')) {
        open.push(createMap({ type: 'array', keySize: 4, valueSize: 4, maxEntries: 1 }));
        attributes = { ...attributes, innerMapFd: open[0]! };
      }
      const { needsBtf } = mapRules[type as keyof typeof mapRules];
      if (needsBtf) {
        open.push(btfFor(attributes.valueSize));
        attributes = { ...attributes, btf: { fd: open[0]!, keyTypeId: 1, valueTypeId: 3 } };
      }
      const fd = createMap({ ...attributes, type });
      open.push(fd);
      check(fd);
      return true;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      return false;
    } finally {
      for (const fd of open) close(fd);
    }
  };

  // struct_ops takes a type of the kernel's as its value.
  const all = Object.entries(mapRules)
    .filter(([type]) => type !== 'struct_ops')
    .map(([type, rule]) => ({ type: type as MapTypeName, rule }));

  it.each(all)('$type', ({ type, rule }) => {
    const wrong: string[] = [];
    const base = {
      keySize: smallest(rule.key),
      valueSize: smallest(rule.value),
      maxEntries: rule.entries === 'none' ? 0 : rule.entries === 'pages' ? PAGE : 1,
      flags: bitsOf(rule.requiredFlags),
    };
    const compare = (what: string, attributes: typeof base, here: boolean) => {
      if (makes(type, attributes) !== here) wrong.push(`${what}: ${here ? 'accepted' : 'refused'} here`);
    };
    compare('smallest', base, true);
    for (const keySize of [0, 1, 3, 4, 5, 8, 16, 260, 261, 512, 513])
      compare(`key of ${keySize}`, { ...base, keySize }, fits(rule.key, keySize));
    const most = 'oneOf' in rule.value ? [] : rule.value.max > 1 << 24 ? [] : [rule.value.max, rule.value.max + 1];
    // A hash takes the key's bytes off the value's.
    const off = 'oneOf' in rule.key ? 0 : rule.perCpu || type === 'lpm_trie' ? 0 : base.keySize - 1;
    for (const valueSize of [0, 1, 3, 4, 5, 8, 12, 16, 1016, 1024])
      compare(`value of ${valueSize}`, { ...base, valueSize }, fits(rule.value, valueSize));
    for (const valueSize of most)
      compare(`value of ${valueSize}`, { ...base, valueSize: valueSize - off }, fits(rule.value, valueSize));
    for (const maxEntries of [0, 1, 2, 3, PAGE, 2 * PAGE, 3 * PAGE, (1 << 20) + 1])
      if (maxEntries <= 3 * PAGE || typeof rule.entries === 'number')
        if (!(type === 'cpumap' && maxEntries > 3))
          compare(`${maxEntries} entries`, { ...base, maxEntries }, fitsEntries(rule.entries, maxEntries));
    for (const [name, bit] of Object.entries(mapFlags)) {
      if (name === 'token_fd' || name === 'inner_map') continue; // needs a token; a property of the inner map
      const flag = name as MapFlagName;
      const attributes = { ...base, flags: base.flags | bit };
      if (flag === 'stack_build_id') attributes.valueSize = rule.flags.includes(flag) ? 32 : base.valueSize;
      compare(`flag ${name}`, attributes, rule.flags.includes(flag));
      if (rule.requiredFlags.includes(flag)) compare(`without ${name}`, { ...base, flags: base.flags & ~bit }, false);
    }
    makes(type, base, (fd) => {
      const result = new MapElements(fd, Math.max(4, base.keySize), 8).next(true);
      const iterable = result === 0 || result === -ENOENT;
      if (iterable !== rule.iterable) wrong.push(`iterable: ${rule.iterable} here`);
    });
    expect(wrong).toEqual([]);
  });
});
