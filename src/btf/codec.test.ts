import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clangs, compileBpf, noClang, prelude } from '../../test/clang.ts';
import { readObject } from '../object/index.ts';
import { type Codec, codecFor, rawCodec } from './codec.ts';

const source = `${prelude}
enum color { RED = 1, BLUE = -2 };
enum wide { HUGE = 0xffffffffffULL };
struct point { s16 x; u16 y; };
struct all {
  u8 a; s8 b; u16 c; s32 d; u64 e; s64 f; _Bool g; enum color h; enum wide i; char name[6]; u8 raw[3]; u32 list[3];
  struct point at; struct point many[2]; void *p; u32 grid[2][2];
  u32 low : 3; s32 mid : 5; u32 high : 24;
  union { u32 whole; u8 octets[4]; };
  struct { u8 inside; };
  union { u64 v; struct { u8 first; u32 second; } parts; } sum;
  _Bool flags[2];
};
struct all value; u64 constructor = 5;
SEC("xdp") int prog(void *ctx) { return value.a + constructor; }
`;

describe.skipIf(clangs.length === 0)(`a codec from BTF${noClang}`, () => {
  const object = clangs.length === 0 ? undefined : readObject(compileBpf(source), 'codec.o');
  const btf = object?.btf;
  const codec = (name: string): Codec => codecFor(btf!, btf!.find(name)!);
  const zeros = () => codec('all').decode(new Uint8Array(codec('all').size));

  it('has the size of the type and zeros for no members', () => {
    expect(codec('all').size).toBe(btf!.sizeOf(btf!.find('all', 'struct')!));
    expect(codec('all').encode({})).toEqual(new Uint8Array(codec('all').size));
    expect(zeros()).toMatchObject({
      a: 0,
      e: 0n,
      g: false,
      h: 0,
      i: 0n,
      name: new Uint8Array(6),
      whole: 0,
      inside: 0,
      p: 0n,
    });
  });

  it('keeps values of every kind', () => {
    const value = {
      ...{ a: 255, b: -128, c: 65535, d: -(2 ** 31), e: 2n ** 64n - 1n, f: -(2n ** 63n), g: true, h: -2 },
      ...{ i: 0xffffffffffn, raw: Uint8Array.of(1, 2, 3), list: [1, 2, 3], at: { x: -1, y: 2 } },
      ...{
        many: [
          { x: 1, y: 2 },
          { x: 3, y: 4 },
        ],
        p: 7n,
        grid: [
          [1, 2],
          [3, 4],
        ],
        low: 5,
        mid: -16,
        high: 0xabcdef,
      },
      ...{ inside: 9, flags: [false, true] },
    };
    expect(codec('all').decode(codec('all').encode({ ...value, name: 'hello' }))).toMatchObject({
      ...value,
      name: new TextEncoder().encode('hello\0'),
    });
  });

  it('lays bit fields out as the compiler does', () => {
    const all = btf!.type(btf!.find('all', 'struct')!);
    const low = all?.kind === 'struct' ? all.members.find(({ name }) => name === 'low')! : undefined;
    const bytes = codec('all').encode({ low: 7, mid: -1, high: 0 });
    const at = low!.bitOffset / 8;
    expect([...bytes.subarray(at, at + 4)]).toEqual([0xff, 0, 0, 0]);
  });

  it('names the member that is wrong', () => {
    const { encode } = codec('all');
    expect(() => encode({ nope: 1 })).toThrow(/value\.nope: there is no such member; there are a, b/);
    expect(() => encode({ at: { x: 40000 } })).toThrow(/value\.at\.x: 40000 is outside of -32768 to 32767/);
    expect(() => encode({ many: [{}, { y: -1 }] })).toThrow(/value\.many\[1\]\.y: -1 is outside/);
    expect(() => encode({ list: [1, 2, 3, 4] })).toThrow(/value\.list: 4 elements do not fit 3/);
    expect(() => encode({ name: 'too long' })).toThrow(/value\.name: 8 bytes do not fit 6/);
    expect(() => encode({ e: 2 ** 60 })).toThrow(/value\.e: .*use a bigint/);
    expect(() => encode({ e: 1.5 })).toThrow(/value\.e: 1\.5 is no whole number/);
    expect(() => encode({ a: 'x' })).toThrow(/value\.a: an integer is needed, not a string/);
    expect(() => encode({ mid: 16 })).toThrow(/value\.mid: 16 is outside of -16 to 15/);
    expect(() => encode({ sum: { v: 1n, parts: { first: 2 } } })).toThrow(/contradicts/);
    expect(() => encode(5)).toThrow(/value: an object is needed, not number 5/);
    expect(() => codec('all').decode(new Uint8Array(3))).toThrow(/3 bytes, but the type has/);
  });

  it('describes globals as one object', () => {
    const data = object!.maps.get('.data')!;
    const globals = codecFor(btf!, data.valueTypeId);
    expect(globals.size).toBe(data.valueSize);
    expect(globals.decode(data.contents.kind === 'bytes' ? data.contents.bytes : new Uint8Array())).toEqual({
      constructor: 5n,
    });
    expect(globals.encode({})).toEqual(new Uint8Array(8));
  });

  it('property: what was decoded encodes to the same value, whatever the bytes', () => {
    const { size, decode, encode } = codec('all');
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
        const value = decode(bytes);
        expect(decode(encode(value))).toEqual(value);
      }),
    );
  });
});

describe('a codec without BTF', () => {
  it('gives numbers for 4 and 8 bytes and bytes else', () => {
    expect(rawCodec(4).decode(Uint8Array.of(1, 0, 0, 0x80))).toBe(0x80000001);
    expect(rawCodec(8).encode(5)).toEqual(Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0));
    expect(rawCodec(8).decode(new Uint8Array(8).fill(255))).toBe(2n ** 64n - 1n);
    expect(rawCodec(4).encode(Uint8Array.of(1, 2, 3, 4))).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(rawCodec(0).decode(new Uint8Array(0))).toEqual(new Uint8Array(0));
    expect(() => rawCodec(3).encode(5)).toThrow(/value: 3 bytes are needed/);
    expect(() => rawCodec(4).encode(-1)).toThrow(/outside of 0 to 4294967295/);
  });
});
