import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clangs, compileBpf, withTempFolder } from '../../test/clang.ts';
import { InputError } from '../errors.ts';
import { readObject } from '../object/index.ts';
import { applyCoreRelocations } from './core.ts';
import { parseBtf } from './parse.ts';
import { BtfBuilder } from './write.ts';

const VMLINUX = '/sys/kernel/btf/vmlinux';
const source = readFileSync(new URL('../../test/objects/core-relocations.bpf.c', import.meta.url), 'utf8');
const missing = [
  clangs.length === 0 ? 'clang' : undefined,
  existsSync(VMLINUX) ? undefined : VMLINUX,
  spawnSync('bpftool', ['version']).status === 0 ? undefined : 'bpftool',
  process.getuid?.() === 0 && existsSync('/sys/fs/bpf') ? undefined : 'root with a BPF file system',
].filter((one) => one !== undefined);
const reason = missing.length > 0 ? ` (skipped: no ${missing.join(', ')})` : '';

/** What libbpf did: `PROGRAM SLOT` -> `FROM -> TO` or `poison`, from bpftool's debug log. */
function askLibbpf(object: Uint8Array): Map<string, string> {
  const log = withTempFolder((folder) => {
    const file = join(folder, 'core.o');
    const pins = `/sys/fs/bpf/sluice-test-${process.pid}`;
    writeFileSync(file, object);
    // Whether the kernel takes the programs does not matter: they are relocated before.
    const { stderr } = spawnSync('bpftool', ['-d', 'prog', 'loadall', file, pins], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    rmSync(pins, { recursive: true, force: true });
    return stderr;
  });
  const done = new Map<string, string>();
  for (const line of log.split('\n')) {
    const patched = /prog '(\w+)': relo #\d+: patched insn #(\d+) \([^)]*\) \w+ (-?\d+) -> (-?\d+)/.exec(line);
    if (patched !== null) done.set(`${patched[1]} ${patched[2]}`, `${patched[3]} -> ${patched[4]}`);
    const poisoned = /prog '(\w+)': relo #\d+: substituting insn #(\d+) w\/ invalid insn/.exec(line);
    if (poisoned !== null) done.set(`${poisoned[1]} ${poisoned[2]}`, 'poison');
  }
  return done;
}

describe.skipIf(missing.length > 0)(`CO-RE against this kernel${reason}`, () => {
  it.each(clangs.filter((clang) => clang !== 'clang'))(
    'decides as libbpf on every relocation of an object by %s',
    (clang) => {
      const bytes = compileBpf(source, { clang });
      const libbpf = askLibbpf(bytes);
      const object = readObject(bytes, 'core.o');
      const kernel = parseBtf(new Uint8Array(readFileSync(VMLINUX)));
      let asked = 0;
      for (const program of object.programs.values()) {
        const { results, insns } = applyCoreRelocations(program, object.btf!, kernel);
        expect(insns).toHaveLength(program.insns.length);
        for (const { slot, kind, wanted, outcome, from, to } of results) {
          const theirs = libbpf.get(`${program.name} ${slot}`);
          asked++;
          expect(
            outcome === 'poisoned' ? 'poison' : `${from} -> ${to}`,
            `${program.name} ${slot} ${kind} ${wanted}`,
          ).toBe(theirs);
        }
      }
      expect(asked).toBeGreaterThanOrEqual(70);
    },
  );
});

describe('CO-RE on made types', () => {
  const int = {
    kind: 'int',
    name: 'int',
    size: 4,
    bits: 32,
    offset: 0,
    signed: true,
    bool: false,
    char: false,
  } as const;
  const member = (name: string, type: number, bitOffset: number, bitSize = 0) => ({ name, type, bitOffset, bitSize });
  const insn = { opcode: 0xb7, dst: 1, src: 0, off: 0, imm: 0 };
  const program = (
    typeId: number,
    access: string,
    kind: 'field_byte_offset' | 'enumval_value' | 'field_exists' | 'type_size',
    imm = 0,
  ) => ({
    name: 'p',
    insns: [{ ...insn, imm }],
    coreRelocations: [{ slot: 0, typeId, access, kind }],
  });
  const objectBtf = () => {
    const builder = new BtfBuilder();
    const id = builder.add(int);
    builder.add({ kind: 'struct', name: 's___mine', size: 8, members: [member('a', id, 0), member('b', id, 32)] });
    return builder.build();
  };

  it('takes a flavor off the object’s name and the target’s', () => {
    const builder = new BtfBuilder();
    const id = builder.add(int);
    builder.add({ kind: 'struct', name: 's___theirs', size: 16, members: [member('b', id, 64), member('a', id, 96)] });
    const { insns, results } = applyCoreRelocations(
      program(2, '0:1', 'field_byte_offset', 4),
      objectBtf(),
      builder.build(),
    );
    expect(insns[0]!.imm).toBe(8);
    expect(results).toMatchObject([
      { wanted: 'struct s___mine.b', outcome: 'patched', from: 4n, to: 8n, candidates: [2] },
    ]);
  });

  it('poisons what is not there, and says 0 where that is an answer', () => {
    const builder = new BtfBuilder();
    builder.add(int);
    const target = builder.build();
    const poisoned = applyCoreRelocations(program(2, '0:1', 'field_byte_offset', 4), objectBtf(), target);
    expect(poisoned.insns).toEqual([{ opcode: 0x85, dst: 0, src: 0, off: 0, imm: 195896080 }]);
    expect(poisoned.results).toMatchObject([{ outcome: 'poisoned', to: undefined, candidates: [] }]);
    const asked = applyCoreRelocations(program(2, '0:1', 'field_exists', 1), objectBtf(), target);
    expect(asked.insns[0]).toMatchObject({ opcode: 0xb7, imm: 0 });
  });

  it('refuses candidates that contradict each other', () => {
    const builder = new BtfBuilder();
    const id = builder.add(int);
    builder.add({ kind: 'struct', name: 's', size: 8, members: [member('b', id, 0)] });
    builder.add({ kind: 'struct', name: 's___v2', size: 8, members: [member('b', id, 32)] });
    expect(() => applyCoreRelocations(program(2, '0:1', 'field_byte_offset', 4), objectBtf(), builder.build())).toThrow(
      /SLUICE|program p, slot 0: CO-RE field_byte_offset of type 2 \(0:1\): ambiguous/,
    );
  });

  it('against the object’s own types the one without a flavor decides, and a flavor of what it lacks', () => {
    const builder = new BtfBuilder();
    const id = builder.add(int);
    builder.add({ kind: 'struct', name: 's___old', size: 8, members: [member('b', id, 0), member('gone', id, 32)] });
    builder.add({ kind: 'struct', name: 's', size: 16, members: [member('a', id, 0), member('b', id, 96)] });
    builder.add({ kind: 'struct', name: 's___older', size: 8, members: [member('gone', id, 0)] });
    const own = builder.build();
    const offset = (access: string, from: number) =>
      applyCoreRelocations(program(2, access, 'field_byte_offset', from), own, own).insns[0]!.imm;
    expect(offset('0:0', 0)).toBe(12);
    expect(offset('0:1', 4)).toBe(4);
  });

  it.each([
    ['0:7', 'field_byte_offset', /has only 2 members/],
    ['0:0:0', 'field_byte_offset', /a step into a int/],
    ['x', 'field_byte_offset', /malformed/],
    ['1', 'type_size', /a type has no steps/],
    ['0', 'enumval_value', /no enumerator/],
  ] as const)('refuses the access string %s of %s', (access, kind, message) => {
    const btf = objectBtf();
    expect(() => applyCoreRelocations(program(2, access, kind), btf, btf)).toThrow(message);
    expect(() => applyCoreRelocations(program(2, access, kind), btf, btf)).toThrow(InputError);
  });

  it('refuses an instruction that does not hold what the types say', () => {
    const btf = objectBtf();
    expect(() => applyCoreRelocations(program(2, '0:1', 'field_byte_offset', 5), btf, btf)).toThrow(/has 5, not 4/);
  });

  it('widens and narrows loads of unsigned fields, and poisons those of signed ones', () => {
    const load = (signed: boolean) => {
      const local = new BtfBuilder();
      const narrow = local.add({ ...int, signed });
      local.add({ kind: 'struct', name: 's', size: 4, members: [member('a', narrow, 0)] });
      const target = new BtfBuilder();
      const wide = target.add({ ...int, name: 'long', size: 8, bits: 64, signed });
      target.add({ kind: 'struct', name: 's', size: 16, members: [member('a', wide, 64)] });
      const it = { ...program(2, '0:0', 'field_byte_offset'), insns: [{ ...insn, opcode: 0x61 }] };
      return applyCoreRelocations(it, local.build(), target.build()).insns[0];
    };
    expect(load(false)).toMatchObject({ opcode: 0x79, off: 8 });
    expect(load(true)).toMatchObject({ opcode: 0x85, imm: 195896080 });
  });
});
