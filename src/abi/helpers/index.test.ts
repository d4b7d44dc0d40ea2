import { describe, expect, it } from 'vitest';
import { programDeclarations } from '../programs/index.ts';
import { helperSet, onlyFor } from './helper-set.ts';
import { enginesExpand, helperId, helperName, helperNames, helpers } from './index.ts';
import { helper } from './prototype-builder.ts';

const sized = new Set(['mem', 'mem_or_null', 'mem_uninit', 'mem_write', 'mem_write_or_null']);
const sizes = new Set(['const_size', 'const_size_or_zero']);
const fixed = new Set(['fixed_mem', 'fixed_mem_uninit', 'fixed_mem_write']);

const everyRow = [
  ...helpers.values(),
  ...[...programDeclarations.values()].flatMap((declaration) => [
    ...declaration.helpers.values(),
    ...(declaration.helperVariants ?? []).flatMap((variant) => [...variant.helpers.values()]),
  ]),
];

describe('helpers', () => {
  it('has a row for each of the 211', () => {
    expect(helperNames.length).toBe(211);
    expect([...helpers.keys()].sort((a, b) => a - b)).toEqual(helperNames.map((_, at) => at + 1));
    expect(helperId('cgrp_storage_delete')).toBe(211);
    expect(helperName(212)).toBeUndefined();
  });

  it('gives each row the shape that check_func_proto of the kernel wants', () => {
    for (const { name, args, fixedSize, releases, returns, returnsBtfId, btfIds, dynptrType } of everyRow) {
      expect(args.length, name).toBeLessThanOrEqual(5);
      args.forEach((type, at) => {
        if (sized.has(type)) expect(sizes.has(args[at + 1] ?? ''), `${name} argument ${at + 1}`).toBe(true);
        if (sizes.has(type)) expect(sized.has(args[at - 1] ?? ''), `${name} argument ${at + 1}`).toBe(true);
        expect(fixedSize?.[at] !== undefined, `${name} argument ${at + 1}`).toBe(fixed.has(type));
        const typed = (type === 'btf_id' || type === 'btf_id_or_null') && name !== 'bpf_kptr_xchg';
        expect(btfIds?.[at] !== undefined, `${name} argument ${at + 1}`).toBe(typed);
      });
      // One argument at most may be memory that need not be initialised.
      expect(
        args.filter((type) => type.endsWith('_uninit') && type !== 'dynptr_uninit').length,
        name,
      ).toBeLessThanOrEqual(1);
      if (releases !== undefined) expect(args[releases], name).toBeDefined();
      const pointer = returns.includes('btf_id') && !returns.startsWith('mem_') && name !== 'bpf_kptr_xchg';
      expect(returnsBtfId !== undefined, name).toBe(pointer);
      if (args.includes('dynptr_uninit')) expect(dynptrType, name).toBeDefined();
    }
  });

  it('is called by some program type, each of them', () => {
    const called = new Set([...programDeclarations.values()].flatMap(({ helpers: own }) => [...own.keys()]));
    expect(helperNames.filter((_, at) => !called.has(at + 1))).toEqual([]);
  });

  it('knows those that the engines expand', () => {
    for (const name of enginesExpand) expect(helpers.get(helperId(name) ?? 0)?.name).toBe(name);
  });
});

describe('sets of helpers', () => {
  it('put a variant in the place of the common row', () => {
    const variant = helper('bpf_redirect', [], 'void');
    const set = helperSet(helpers, ['map_lookup_elem', variant]);
    expect(set.get(variant.id)).toBe(variant);
    expect(set.size).toBe(211);
  });

  it('refuse names that are none', () => {
    expect(() => helperSet(new Map(), ['map_look'])).toThrow('no helper map_look');
    expect(() => onlyFor(['map_look'], [])).toThrow('no helper map_look');
    expect(() => helper('bpf_map_look', [], 'void')).toThrow('no helper bpf_map_look');
  });
});
