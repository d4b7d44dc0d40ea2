import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clangs, compileBpf, noClang, withTempFolder } from '../../test/clang.ts';
import { readObject } from '../object/index.ts';
import { parseBtf } from './parse.ts';
import { declareC, printC } from './print-c.ts';
import { printTypeScript } from './print-typescript.ts';
import type { Btf } from './types.ts';

const VMLINUX = '/sys/kernel/btf/vmlinux';
const noKernel = existsSync(VMLINUX) ? '' : ` (skipped: no ${VMLINUX})`;

const source = `
typedef unsigned int u32; typedef unsigned char u8; typedef unsigned long long u64;
struct tree; typedef int (*visit_fn)(const struct tree *, void *, ...);
typedef struct { int counter; } atomic_t;
enum color { RED = 1, BLUE = -2 }; enum huge { BIG = 0xffffffffffULL }; enum tiny { TINY } __attribute__((packed));
struct packed { u8 a; u32 b; u64 c : 5; u32 d : 20; } __attribute__((packed));
struct holes { u8 a; u64 b __attribute__((aligned(32))); u8 c; u32 : 7; u32 d : 3; u32 e : 30; u8 f; };
struct tree {
  struct tree *left, **right; const char *const names[3]; int (*table[2])(u32, enum color); visit_fn visit; atomic_t refs; enum tiny tiny;
  union { u32 word; struct { u8 low, high; }; u8 all[7]; }; struct { int x; } inner; enum { A, B } anonymous; int grid[2][3]; int (*row)[3];
  struct packed packed; struct holes holes; volatile u32 *const restrict_like; enum huge huge; void *opaque; _Bool flag; u8 tail[];
};
struct tree root;
int prog(void *ctx) { return root.flag; }`;

describe.skipIf(clangs.length === 0)(`C declarations${noClang}`, () => {
  const btf = clangs.length === 0 ? undefined : readObject(compileBpf(source), 'print.o').btf!;

  it('are laid out by a compiler as the BTF says', () => {
    const names = ['packed', 'holes', 'tree'];
    const text = printC(
      btf!,
      names.map((name) => btf!.find(name, 'struct')!),
    );
    // Use the types, so that they are in the BTF of what is compiled.
    const again = readObject(
      compileBpf(`${text}\nstruct tree root; int prog(void *ctx) { return root.flag; }`),
      'again.o',
    ).btf!;
    for (const name of names) expect(layout(again, name), text).toEqual(layout(btf!, name));
  });

  it('are read by people', () => {
    expect(printC(btf!, [btf!.find('visit_fn')!])).toBe(
      'struct tree;\n\ntypedef int (*visit_fn)(const struct tree *, void *, ...);\n',
    );
    const tree = btf!.type(btf!.find('tree', 'struct')!);
    const member = (wanted: string) => {
      const found = tree?.kind === 'struct' ? tree.members.find(({ name }) => name === wanted) : undefined;
      return declareC(btf!, found!.type, wanted);
    };
    expect(['right', 'names', 'table', 'grid', 'row', 'refs', 'restrict_like'].map(member)).toEqual([
      'struct tree **right',
      'const char * const names[3]'.replace('* const', '*const'),
      'int (*table[2])(u32, enum color)',
      'int grid[2][3]',
      'int (*row)[3]',
      'atomic_t refs',
      'volatile u32 *const restrict_like',
    ]);
  });

  it.skipIf(noKernel !== '')(`of this kernel compile, with every size right${noKernel}`, () => {
    const kernel = parseBtf(new Uint8Array(readFileSync(VMLINUX)));
    const text = printC(kernel);
    const seen = new Set<string>();
    const checks: string[] = [];
    for (let id = 1; id < kernel.typeCount; id++) {
      const type = kernel.type(id)!;
      if ((type.kind !== 'struct' && type.kind !== 'union') || !/^\w+$/.test(type.name) || seen.has(type.name))
        continue;
      seen.add(type.name);
      if (
        kernel.findAll(type.name).filter((one) => ['struct', 'union', 'enum'].includes(kernel.type(one)!.kind)).length >
        1
      )
        continue;
      checks.push(`_Static_assert(sizeof(${type.kind} ${type.name}) == ${type.size}, "${type.name}");`);
      if (checks.length % 8 !== 0) continue;
      for (const { name, bitOffset, bitSize } of type.members)
        if (/^\w+$/.test(name) && bitSize === 0)
          checks.push(
            `_Static_assert(__builtin_offsetof(${type.kind} ${type.name}, ${name}) == ${bitOffset / 8}, "${name}");`,
          );
    }
    expect(checks.length).toBeGreaterThan(5000);
    withTempFolder((folder) => {
      writeFileSync(join(folder, 'vmlinux.c'), `${text}\n${checks.join('\n')}\n`);
      const { stderr, status } = spawnSync(
        clangs[0]!,
        ['-target', 'bpf', '-fsyntax-only', '-w', '-ferror-limit=10', join(folder, 'vmlinux.c')],
        { encoding: 'utf8' },
      );
      expect(stderr).toBe('');
      expect(status).toBe(0);
    });
  });
});

function layout(btf: Btf, name: string): unknown {
  const id = btf.find(name, 'struct')!;
  const type = btf.type(id);
  if (type?.kind !== 'struct') throw new Error(name);
  return {
    size: type.size,
    members: type.members.map(({ name: member, bitOffset, bitSize }) => [member, bitOffset, bitSize]),
  };
}

describe.skipIf(clangs.length === 0)(`TypeScript${noClang}`, () => {
  it('has the types that the codec gives', () => {
    const object = readObject(
      compileBpf(`typedef unsigned long long u64; enum color { RED };
        struct at { int x; u64 y; }; struct event { u64 time; char name[16]; enum color color; struct at at[2]; union { int a; struct { _Bool b; }; }; void *p; float f; struct { short z; } in; };
        struct event value; int count = 3; int prog(void *ctx) { return value.at[0].x + count; }`),
      'types.o',
    );
    const btf = object.btf!;
    const text = printTypeScript(btf, [
      { name: 'Value', typeId: btf.find('event', 'struct')! },
      { name: 'Key', typeId: btf.find('int', 'int')! },
      { name: 'Data', typeId: btf.find('.data', 'datasec')! },
    ]);
    expect(text).toBe(`export interface at {
  readonly x: number;
  readonly y: bigint;
}

export interface event {
  readonly time: bigint;
  readonly name: Uint8Array;
  readonly color: number;
  readonly at: readonly at[];
  readonly a: number;
  readonly b: boolean;
  readonly p: bigint;
  readonly f: number;
  readonly in: { z: number };
}

export interface data {
  readonly count: number;
}

export type Value = event;

export type Key = number;

export type Data = data;
`);
  });
});
