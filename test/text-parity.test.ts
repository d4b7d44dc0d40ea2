// Text of programs against the kernel: formats, numbers read from text, reads by address. The same bytes go in, the same come out.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syscallHook } from '../src/hooks/syscall/index.ts';
import { xdpHook } from '../src/hooks/xdp/index.ts';
import { bpfRefusal } from '../src/linux/features.ts';
import { loadLinux } from '../src/linux/load.ts';
import { type Random, random } from '../src/net/random.ts';
import { readObject } from '../src/object/index.ts';
import type { LoadedObject } from '../src/runtime/handles.ts';
import { loadUser } from '../src/runtime/load.ts';
import { Runtime } from '../src/runtime/runtime.ts';
import { compileBpf, noClang, prelude } from './clang.ts';

/** Formats; those of bpf_snprintf stand in read-only data and are judged at load, those of bpf_trace_vprintk are any bytes. */
const formats = (rng: Random, count: number, faulty: boolean): readonly string[] => {
  const pieces = [
    '%d',
    '%5d',
    '%-7i|',
    '%+d',
    '% d',
    '%05u',
    '%lu',
    '%lld',
    '%llx',
    '%X',
    '%08lx',
    '%-12llX|',
    '%c',
    '%3c',
    '%-3c|',
    '%s',
    '%10s',
    '%-10s|',
  ];
  const pointers = ['%px', '%20px', '%pi4', '%pI4', '%pI6', '%pi6', '%pks', '%pI4x', '%px,'];
  const wrong = ['%z', '%5', '%hd', '%.3d', '%lc', '%pM', '%sx', '%n', '%l', '%pk', '%ll', '%#x'];
  const plain = ['', 'a', ' b ', '%%', '100%% ', '\\t', '\\n', 'text: '];
  const pick = () =>
    faulty && rng.chance(1, 4)
      ? rng.pick(wrong as [string])
      : rng.pick((rng.chance(2, 3) ? pieces : pointers) as [string]);
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + rng.below(5) }, () => rng.pick(plain as [string]) + pick()).join(
      !faulty || rng.chance(1, 2) ? ' ' : '',
    ),
  );
};
const texts = formats(random(5), 40, false);

const source = `${prelude}
struct xdp_md { u32 data, data_end, data_meta, ifindex, queue, egress; };
static long (*snprintf_)(char *to, u32 size, const char *fmt, const u64 *args, u32 length) = (void *)165;
static long (*vprintk)(const char *fmt, u32 size, const u64 *args, u32 length) = (void *)177;
static long (*strtol_)(const char *text, u64 size, u64 flags, s64 *value) = (void *)105;
static long (*strtoul_)(const char *text, u64 size, u64 flags, u64 *value) = (void *)106;
static long (*read_)(void *to, u32 size, const void *from) = (void *)4;
static long (*read_str)(void *to, u32 size, const void *from) = (void *)45;
static long (*read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static long (*read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
struct { s64 result; u8 bytes[256]; u64 args[6]; u32 which, size; u8 words[64]; s64 value; u64 number; s64 results[8]; } g;
static const char fmts[${texts.length}][80] = { ${texts.map((text) => `"${text}"`).join(', ')} };
${texts.map((_, i) => `SEC("syscall") int print${i}(void *ctx) { u32 size = g.size & 255; u64 a[6]; for (int i = 0; i < 6; i++) a[i] = g.args[i]; if (g.which & 1) a[g.which >> 1 & 3] = (u64)g.words; if (g.which & 16) a[0] = a[1] = a[2] = a[3] = a[4] = a[5] = (u64)g.words; g.result = snprintf_((char *)g.bytes, size, fmts[${i}], a, 8 * 6); return 0; }`).join('\n')}
SEC("syscall") int prints(void *ctx) {
  u32 size = g.size & 63, length = g.which & 63; u64 a[8]; if (size == 0) size = 1;
  for (int i = 0; i < 8; i++) a[i] = i < 6 ? g.args[i] : 0;
  g.result = vprintk((char *)g.words, size, a, length); return 0; }
SEC("xdp") int numbers(struct xdp_md *ctx) {
  u32 size = g.size & 63; if (size == 0) size = 1;
  g.result = strtol_((char *)g.words, size, g.which, &g.value);
  g.results[0] = strtoul_((char *)g.words, size, g.which, &g.number);
  return 2; }
SEC("syscall") int reads(void *ctx) {
  u32 size = g.size & 127; const void *from = (void *)g.args[0];
  if (g.which & 1) from = g.words;
  g.results[0] = read_(g.bytes, size, from); g.results[1] = read_str(g.bytes + 128, size, from);
  g.results[2] = read_kernel(g.bytes, size, from); g.results[3] = read_kernel_str(g.bytes + 128, size, from);
  if (g.which & 1) return 0;
  g.results[4] = read_user(g.bytes, size, from); g.results[5] = read_user_str(g.bytes + 128, size, from);
  return 0; }
char _license[] SEC("license") = "GPL";`;

const refusal = bpfRefusal();
const skipped = noClang !== '' ? noClang : refusal === undefined ? '' : ` (skipped: ${refusal})`;

interface State {
  result: bigint;
  bytes: number[];
  args: bigint[];
  which: number;
  size: number;
  words: number[];
  value: bigint;
  number: bigint;
  results: bigint[];
}

describe.skipIf(skipped !== '')(`text${skipped}`, () => {
  const subjects: LoadedObject[] = [];
  beforeAll(async () => {
    const spec = readObject(compileBpf(source), 'text.bpf.o');
    subjects.push(await loadLinux(spec));
    for (const engine of ['jit', 'interpreter'] as const)
      subjects.push(await loadUser(new Runtime({ seed: 1n }), [xdpHook, syscallHook], spec, { engine }));
  });
  afterAll(() => {
    for (const subject of subjects) subject.close();
  });
  const empty: State = {
    result: 0n,
    bytes: Array(256).fill(0xaa),
    args: Array(6).fill(0n),
    which: 0,
    size: 0,
    words: Array(64).fill(0),
    value: 7n,
    number: 7n,
    results: Array(8).fill(0n),
  };
  const run = (subject: LoadedObject, program: string, given: Partial<State>) => {
    const globals = subject.maps['.bss']!;
    globals.set(0, { g: { ...empty, ...given } } as never);
    subject.programs[program]!.run(program === 'numbers' ? { data: new Uint8Array(14) } : {});
    const { args: _, ...after } = (globals.get(0) as unknown as { g: State }).g;
    return after;
  };
  const agree = (program: string, given: Partial<State>) => {
    const [linux, ...ours] = subjects.map((subject) => run(subject, program, given));
    for (const state of ours) expect({ program, given, state }).toEqual({ program, given, state: linux });
    return linux!;
  };

  it('formats as the kernel does', () => {
    const rng = random(9);
    let taken = 0;
    for (const [i, text] of texts.entries()) {
      for (let round = 0; round < 12; round++) {
        const words = Array.from({ length: 64 }, (_, at) => (at < 5 + rng.below(58) ? 33 + rng.below(90) : 0));
        const pointers = /%[-+ 0-9]*s|%p[^x]/.test(text);
        const numbers = /%[-+ 0-9]*(d|i|l|u|x|X|c)|%[0-9]*px/.test(text);
        // The one address that both know is that of the words; as a number it differs.
        if (pointers && numbers) continue;
        const args = Array.from({ length: 6 }, () =>
          rng.chance(1, 3) ? BigInt(rng.below(200)) : (BigInt(rng.u32()) << 32n) | BigInt(rng.u32()),
        );
        const given = {
          words,
          args: pointers ? args.map(() => 0n) : args,
          size: pointers && text.includes('%p') ? 255 : rng.pick([0, 1, 2, 9, 40, 200, 255]),
          which: pointers ? 16 : 0,
        };
        if (agree(`print${i}`, given).result >= 0n) taken++;
      }
    }
    expect(taken).toBeGreaterThan(100);
  });

  it('refuses the formats that the kernel refuses', () => {
    const rng = random(8);
    const results = new Set<bigint>();
    for (const text of formats(rng, 300, true)) {
      const words = [...Buffer.alloc(64, 0).fill(text, 0, Math.min(text.length, 63), 'latin1')];
      // Some have bytes that are no text, or no end.
      if (rng.chance(1, 20)) words[rng.below(20)] = rng.pick([1, 127, 200]);
      const size = rng.pick([63, 63, text.length + 1, rng.below(64)]) & 63;
      const length = rng.pick([48, 48, 24, 8, 0, 12]);
      // Addresses that nothing can be read from: their texts are empty, their bytes 0.
      results.add(
        agree('prints', { words, size, which: length, args: Array.from({ length: 6 }, (_, i) => BigInt(i)) }).result,
      );
    }
    expect(results.has(-22n)).toBe(true);
    expect(results.size).toBeGreaterThan(15);
  });

  it('reads numbers as the kernel does', () => {
    const rng = random(3);
    const starts = [
      '',
      '-',
      ' ',
      '\t -',
      '+',
      '0x',
      '0X',
      '-0x',
      '0',
      '00',
      ' 0xg',
      '18446744073709551615',
      '9223372036854775807',
      '-9223372036854775808',
      '9223372036854775808',
      '\u00a07',
      '--1',
      '- 1',
      '0x ',
      '077',
      '08',
    ];
    for (let round = 0; round < 400; round++) {
      const start = starts[rng.below(starts.length)]!;
      const digits = Array.from({ length: rng.below(rng.chance(1, 4) ? 40 : 8) }, () =>
        rng.pick(['0', '1', '7', '8', '9', 'a', 'F', 'g', ' ', '\0']),
      ).join('');
      const words = [
        ...Buffer.alloc(64, start + digits, 'latin1').fill(
          rng.chance(1, 2) ? 0 : 49,
          Math.min(64, start.length + digits.length),
        ),
      ];
      agree('numbers', {
        words,
        size: rng.pick([1, 2, 5, 20, 63, start.length + digits.length]) & 63,
        which: rng.pick([0, 0, 8, 10, 16, 2, 32, 0x110]),
      });
    }
  });

  it('reads by address as the kernel does, and faults where it does', () => {
    const rng = random(4);
    for (let round = 0; round < 100; round++) {
      const words = [...rng.bytes(64)].map((byte) => (byte < 8 ? 0 : byte));
      agree('reads', { words, size: rng.below(60), which: 1 });
    }
    // Addresses that hold nothing in either.
    for (const address of [0n, 8n, 0xfff8n, 0x7fff_ffff_0000n, 0xffff_ffff_ffff_f000n])
      for (const size of [0, 1, 20]) agree('reads', { args: [address, 0n, 0n, 0n, 0n, 0n], size });
  });
});
