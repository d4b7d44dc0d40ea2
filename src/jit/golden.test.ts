// What small programs become, as text: golden/NAME.wat. A change of the JIT shows there; `vitest run -u` takes it over.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import wabt from 'wabt';
import { helpers } from '../abi/helpers/index.ts';
import { assemble } from '../isa/assembler.ts';
import type { MapFacts, ResolvedProgram } from '../object/resolved.ts';
import { compileModule } from './index.ts';
import { rawProgram } from './testbed.ts';

const map: MapFacts = {
  name: 'counters',
  type: 'array',
  address: 0x45_0000,
  keySize: 4,
  valueSize: 8,
  maxEntries: 256,
  flags: 0,
  valuesAddress: 0x46_0000,
};

interface Golden {
  readonly text: string;
  readonly type?: 'xdp';
  readonly fuel?: boolean;
  readonly map?: Partial<MapFacts>;
  readonly jumpTables?: readonly (readonly string[])[];
}

const cases: Readonly<Record<string, Golden>> = {
  'return-constant': { text: 'mov %r0, 2\nexit' },
  'diamond-of-32-bit-arithmetic': {
    text: `
      mov32 %r0, %r1
      jgt32 %r0, 10, big
      mul32 %r0, 3
      ja done
    big:
      rsh32 %r0, 1
    done:
      add32 %r0, 1
      exit`,
  },
  'division-by-register': { text: 'mov %r0, %r1\nmov %r3, %r2\ndiv %r0, %r2\nsdiv32 %r3, %r1\nxor %r0, %r3\nexit' },
  'byte-swaps': { text: 'mov %r0, %r1\nbswap64 %r0\nbe16 %r2\nadd %r0, %r2\nexit' },
  'nested-loops': {
    text: `
      mov %r0, 0
      mov %r3, 0
    outer:
      mov %r4, 0
    inner:
      add %r0, %r4
      add %r4, 1
      jlt %r4, %r2, inner
      add %r3, 1
      jlt %r3, %r1, outer
      exit`,
  },
  'loop-with-two-entries': {
    text: `
      mov %r0, 0
      jeq %r1, 0, second
    first:
      add %r0, 1
      jgt %r0, 100, done
    second:
      add %r0, 2
      ja first
    done:
      exit`,
  },
  'loop-with-fuel': { text: 'mov %r0, 0\nagain: add %r0, %r1\njlt %r0, 100, again\nexit', fuel: true },
  'may-goto': { text: 'mov %r0, 0\nagain: may_goto out\nadd %r0, 1\nja again\nout: exit' },
  gotox: {
    text: `
      and %r1, 1
      lsh %r1, 3
      lddw %r2, jump_table 0
      add %r2, %r1
      ldxdw %r2, [%r2]
      gotox %r2
    even:
      mov %r0, 10
      exit
    odd:
      mov %r0, 11
      exit`,
    jumpTables: [['even', 'odd']],
  },
  'stack-slots-in-registers': {
    text: 'stxdw [%r10-8], %r1\nstxw [%r10-16], %r2\nldxsw %r0, [%r10-16]\nldxdw %r1, [%r10-8]\nadd %r0, %r1\nexit',
  },
  'stack-slot-that-escapes': {
    text: 'stxdw [%r10-8], %r1\nmov %r2, %r10\nadd %r2, %r1\nldxdw %r0, [%r2-16]\nexit',
  },
  subprogram: {
    text: 'mov %r6, %r2\ncall local twice\nadd %r0, %r6\nexit\ntwice: mov %r0, %r1\nadd %r0, %r1\nexit',
  },
  'atomic-counter': { text: 'mov %r2, 1\nlock fetch add [%r1+8], %r2\nmov %r0, %r2\nexit' },
  'xdp-parse': {
    type: 'xdp',
    text: `
      mov %r0, 1
      ldxw %r2, [%r1+0]
      ldxw %r3, [%r1+4]
      mov %r4, %r2
      add %r4, 34
      jgt %r4, %r3, done
      ldxh %r5, [%r2+12]
      jne %r5, 8, done
      ldxb %r5, [%r2+23]
      jne %r5, 17, done
      mov %r0, 2
    done:
      exit`,
  },
  'array-counter': {
    type: 'xdp',
    text: `
      ldxw %r2, [%r1+16]
      stxw [%r10-4], %r2
      lddw %r1, 0x450000
      mov %r2, %r10
      add %r2, -4
      call 1
      jeq %r0, 0, none
      mov %r1, 1
      lock add [%r0], %r1
    none:
      mov %r0, 2
      exit`,
  },
  'tail-call': {
    type: 'xdp',
    map: { type: 'prog_array' },
    text: 'lddw %r2, 0x450000\nmov %r3, 3\ncall 12\nmov %r0, 1\nexit',
  },
};

function programOf(name: string, golden: Golden): ResolvedProgram {
  const { insns, functions, jumpTables } = assemble(golden.text, {
    syntax: 'conformance',
    ...(golden.jumpTables === undefined ? {} : { jumpTables: golden.jumpTables }),
  });
  const maps = new Map<number, MapFacts>();
  insns.forEach((insn, slot) => {
    if (insn.opcode === 0x18 && insn.imm === map.address) maps.set(slot, { ...map, ...golden.map });
  });
  return rawProgram(insns, {
    name,
    type: golden.type,
    functions: functions.map((fn) => ({ ...fn, linkage: 'static' as const, btfId: undefined })),
    helpers,
    mapsAt: maps,
    jumpTables: jumpTables.map(({ slots }) => ({ address: 0x47_0000, slots })),
  });
}

describe('golden text', async () => {
  const { readWasm } = await wabt();
  it.each(Object.entries(cases))('%s', async (name, golden) => {
    const { bytes } = compileModule([programOf(name, golden)], {
      fuel: golden.fuel ?? false,
      planeExports: new Set(),
    });
    expect(WebAssembly.validate(bytes)).toBe(true);
    const text = readWasm(bytes, { threads: true, tail_call: true, readDebugNames: true }).toText({ foldExprs: true });
    await expect(text).toMatchFileSnapshot(`golden/${name}.wat`);
  });

  it('has no text without a case', () => {
    const files = readdirSync(fileURLToPath(new URL('golden/', import.meta.url)));
    expect(files.sort()).toEqual(
      Object.keys(cases)
        .map((name) => `${name}.wat`)
        .sort(),
    );
  });
});
