// Random XDP programs that Linux's verifier accepts, run by Linux's JIT and by ours over the same packet: return value and
// packet must agree. Ours assumes here what it assumes of verified programs (pointers stay below 2^32).
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnsupportedError } from '../errors.ts';
import { assemble } from '../isa/assembler.ts';
import { encodeInsns } from '../isa/encode.ts';
import { loadProgram, testRun } from '../linux/bpf.ts';
import { close } from '../linux/ffi.ts';
import { rawProgram, Testbed } from './testbed.ts';

/** Why Linux cannot be asked, undefined if it can. */
function refusal(): string | undefined {
  try {
    const { insns } = assemble('mov %r0, 2\nexit', { syntax: 'conformance' });
    close(loadProgram({ type: 'xdp', insns: encodeInsns(insns), license: 'GPL' }).fd);
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}

const scalar = fc.integer({ min: 0, max: 5 });
const at = (max: number, size: number) =>
  fc.integer({ min: 0, max: Math.floor((max - size) / size) }).map((n) => n * size);
const sizes = fc.constantFrom(['b', 1] as const, ['h', 2] as const, ['w', 4] as const, ['dw', 8] as const);
const width = fc.constantFrom('', '32');
const imm = fc.oneof(
  fc.integer({ min: 1, max: 31 }),
  fc.integer({ min: -(2 ** 31), max: -1 }),
  fc.constant(0x7fff_ffff),
);

/** A line or more; r0 to r5 are numbers, r6 the context, r7 the packet, r8 its end, r9 a pointer into it. */
const step: fc.Arbitrary<string> = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('add', 'sub', 'mul', 'or', 'and', 'xor', 'mov', 'div', 'mod', 'sdiv', 'smod'),
      width,
      scalar,
      scalar,
    )
    .map(([op, bits, dst, src]) => `${op}${bits} %r${dst}, %r${src}`),
  fc
    .tuple(
      fc.constantFrom('add', 'sub', 'mul', 'or', 'and', 'xor', 'mov', 'div', 'mod', 'sdiv', 'smod'),
      width,
      scalar,
      imm,
    )
    .map(([op, bits, dst, value]) => `${op}${bits} %r${dst}, ${value}`),
  fc
    .tuple(fc.constantFrom('lsh', 'rsh', 'arsh'), width, scalar, fc.integer({ min: 0, max: 31 }))
    .map(([op, bits, dst, value]) => `${op}${bits} %r${dst}, ${value}`),
  fc
    .tuple(fc.constantFrom('lsh', 'rsh', 'arsh'), width, scalar, scalar)
    .map(([op, bits, dst, src]) => `${op}${bits} %r${dst}, %r${src}`),
  fc
    .tuple(fc.constantFrom('be16', 'be32', 'be64', 'le16', 'bswap32', 'neg', 'neg32'), scalar)
    .map(([op, dst]) => `${op} %r${dst}`),
  sizes.chain(([size, bytes]) =>
    fc.tuple(scalar, at(64, bytes)).map(([dst, off]) => `ldx${size} %r${dst}, [%r7+${off}]`),
  ),
  sizes.chain(([size, bytes]) =>
    fc.tuple(scalar, at(64, bytes)).map(([src, off]) => `stx${size} [%r7+${off}], %r${src}`),
  ),
  sizes.chain(([size, bytes]) =>
    fc.tuple(scalar, at(32, bytes)).map(([src, off]) => `stx${size} [%r10-${off + bytes}], %r${src}`),
  ),
  sizes.chain(([size, bytes]) =>
    fc.tuple(scalar, at(32, bytes)).map(([dst, off]) => `ldx${size} %r${dst}, [%r10-${off + bytes}]`),
  ),
  // A pointer that moves by a number, is compared with the end, and used.
  fc
    .tuple(scalar, fc.integer({ min: 0, max: 7 }), scalar)
    .map(([src, off, dst]) =>
      [
        `mov %r1, %r${src}`,
        'and %r1, 63',
        'mov %r9, %r7',
        'add %r9, %r1',
        'mov %r1, %r9',
        'add %r1, 8',
        'jgt %r1, %r8, out',
        `ldxb %r1, [%r9+${off}]`,
        `stxb [%r9+${7 - off}], %r${dst === 1 ? 2 : dst}`,
      ].join('\n'),
    ),
  // A pointer that waits on the stack, and one that goes back and forth.
  fc
    .tuple(at(56, 4), scalar)
    .map(([off, dst]) => `stxdw [%r10-40], %r7\nldxdw %r9, [%r10-40]\nldxw %r${dst}, [%r9+${off}]`),
  fc
    .tuple(at(56, 4), scalar)
    .map(([off, dst]) => `mov %r9, %r7\nadd %r9, ${off + 4}\nsub %r9, 4\nldxw %r${dst}, [%r9+0]`),
  fc.tuple(scalar).map(([dst]) => `mov %r${dst}, %r8\nsub %r${dst}, %r7`),
);
const jump = fc.tuple(
  fc.constantFrom('jeq', 'jne', 'jgt', 'jge', 'jlt', 'jle', 'jsgt', 'jsge', 'jslt', 'jsle', 'jset'),
  width,
  scalar,
  fc.oneof(
    scalar.map((src) => `%r${src}`),
    imm.map(String),
  ),
);

/** Parts, each of which a jump may leave out. */
const body = fc.array(fc.tuple(fc.array(step, { minLength: 1, maxLength: 5 }), fc.option(jump)), { maxLength: 6 });

function textOf(
  parts: readonly (readonly [readonly string[], readonly [string, string, number, string] | null])[],
): string {
  const lines = parts.map(([steps, condition], number) => {
    const skip =
      condition === null ? '' : `${condition[0]}${condition[1]} %r${condition[2]}, ${condition[3]}, skip${number}\n`;
    return `${skip}${steps.join('\n')}\nskip${number}:`;
  });
  return `
    mov %r6, %r1
    ldxw %r7, [%r6+0]
    ldxw %r8, [%r6+4]
    mov %r1, %r7
    add %r1, 64
    jgt %r1, %r8, out
    mov %r9, %r7
    ldxdw %r0, [%r7+0]
    ldxw %r1, [%r7+8]
    ldxh %r2, [%r7+12]
    ldxb %r3, [%r7+14]
    mov %r4, -1
    ldxdw %r5, [%r7+16]
    stxdw [%r10-8], %r0
    stxdw [%r10-16], %r1
    stxdw [%r10-24], %r4
    stxdw [%r10-32], %r5
    ${lines.join('\n')}
    xor %r0, %r1
    xor %r0, %r2
    xor %r0, %r3
    xor %r0, %r4
    xor %r0, %r5
    mov %r1, %r0
    rsh %r1, 32
    xor %r0, %r1
    exit
  out:
    mov %r0, 77
    exit`;
}

const why = refusal();

describe.skipIf(why !== undefined)(`Linux's JIT${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  const bed = new Testbed();
  const frame = bed.free;
  const packet = bed.free + 0x1000;

  it('and ours agree on programs that the verifier accepts', () => {
    let accepted = 0;
    fc.assert(
      fc.property(body, fc.uint8Array({ minLength: 100, maxLength: 100 }), (parts, data) => {
        const { insns } = assemble(textOf(parts), { syntax: 'conformance' });
        let fd: number;
        try {
          fd = loadProgram({ type: 'xdp', insns: encodeInsns(insns), license: 'GPL' }).fd;
        } catch {
          return;
        }
        accepted++;
        try {
          const dataOut = new Uint8Array(200);
          const linux = testRun(fd, { data, dataOut, repeat: 1 });
          bed.bytes.set(data, packet);
          for (const [field, value] of [packet, packet + data.length, packet].entries())
            bed.view.setUint32(frame + field * 4, value, true);
          const { entry } = bed.load([rawProgram(insns, { type: 'xdp' })]);
          expect(Number(BigInt.asUintN(32, entry!(BigInt(frame))))).toBe(linux.returnValue);
          expect(bed.bytes.slice(packet, packet + data.length)).toEqual(dataOut.slice(0, linux.dataSize));
        } finally {
          close(fd);
        }
      }),
      { numRuns: 600 },
    );
    expect(accepted).toBeGreaterThan(200);
  });
});
