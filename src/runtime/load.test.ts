/** Loading: what is refused, by name, and what a loaded object gives. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { InputError, load, ProgramFault, readObject, UnsupportedError } from '../index.ts';
import { assemble } from '../isa/assembler.ts';
import type { ObjectSpec, ProgramSpec, Reference } from '../object/spec.ts';
import { writeObject } from '../object/write.ts';

function object(text: string, section = 'xdp'): ObjectSpec {
  const { insns, functions } = assemble(text, { syntax: 'llvm' });
  return readObject(writeObject({ section, license: 'GPL', insns, functions }), 'made.o');
}

/** The object with references put into its only program. */
function referring(spec: ObjectSpec, references: ReadonlyMap<number, Reference>): ObjectSpec {
  const [name, program] = [...spec.programs][0]!;
  return { ...spec, programs: new Map<string, ProgramSpec>([[name, { ...program, references }]]) };
}

const packet = new Uint8Array(64);

describe('load', () => {
  it('refuses by name what the target does not have', async () => {
    // 9: bpf_skb_store_bytes, which Linux does not give to XDP.
    await expect(load(object('p:\n call 0x9\n exit'))).rejects.toThrow(InputError);
    await expect(load(object('p:\n r0 = 0\n exit', 'kprobe/x'))).rejects.toThrow(
      /program type kprobe|programs of type kprobe/,
    );
    await expect(load(object('p:\n r0 = 0\n exit', 'nonsense'))).rejects.toMatchObject({
      code: 'SLUICE_UNKNOWN_SECTION',
    });
  });

  it('never takes a function of the plane for a kfunc', async () => {
    const spec = referring(
      object('p:\n r1 = 0\n call 0x7\n exit'),
      new Map([[1, { kind: 'kfunc', name: 'pages_free', weak: false }]]),
    );
    await expect(load(spec)).rejects.toMatchObject({ feature: 'kfunc pages_free' });
  });

  it.each(['jit', 'interpreter'] as const)(
    'runs past what no path leads to, and faults where one does (%s)',
    async (engine) => {
      const weak = (jump: string) =>
        referring(
          object(`p:\n r2 = 1\n ${jump}\n r1 = 0\n call 0x7\n exit\nend:\n r0 = 2\n exit`),
          new Map([[3, { kind: 'kfunc', name: 'bpf_no_such_kfunc', weak: true }]]),
        );
      const frame = (jump: string) => object(`p:\n r2 = 1\n ${jump}\n r10 = 0\n r0 = 1\n exit\nend:\n r0 = 2\n exit`);
      for (const made of [weak, frame]) {
        const past = await load(made('if r2 == 0x1 goto end'), { engine });
        expect(past.programs['p']!.run({ data: packet }).returnValue).toBe(2);
        past.close();
        const into = await load(made('if r2 == 0x0 goto end'), { engine, unverified: true });
        expect(() => into.programs['p']!.run({ data: packet })).toThrow(ProgramFault);
        into.close();
      }
    },
  );

  it('refuses bad structure with every fault', async () => {
    const { insns, functions } = assemble('p:\n r0 = 0\n goto +5\n exit', { syntax: 'llvm' });
    const spec = readObject(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), 'made.o');
    await expect(load(spec)).rejects.toMatchObject({ code: 'SLUICE_PROGRAM_REFUSED' });
  });

  it.each(['jit', 'interpreter'] as const)('stops an endless loop at the budget (%s)', async (engine) => {
    const loaded = await load(object('p:\n r0 = 0\nagain:\n r0 += 1\n goto again'), {
      engine,
      budget: 100_000,
      unverified: true,
    });
    const run = () => loaded.programs['p']!.run({ data: packet });
    expect(run).toThrow(ProgramFault);
    expect(run).toThrow(expect.objectContaining({ code: 'SLUICE_FAULT_BUDGET' }));
    loaded.close();
  });

  it('puts an access outside of the memory down to the program, and runs on', async () => {
    const loaded = await load(object('p:\n r2 = 0xfffffff0 ll\n r0 = *(u64 *)(r2 + 0x0)\n exit'), { unverified: true });
    expect(() => loaded.programs['p']!.run({ data: packet })).toThrow(/stopped by the sandbox/);
    loaded.close();
    const after = await load(object('p:\n r0 = 1\n exit'));
    expect(after.programs['p']!.run({ data: packet }).returnValue).toBe(1);
  });

  it.each(['jit', 'interpreter'] as const)(
    'runs only what the verifier accepts, unless told otherwise (%s)',
    async (engine) => {
      const wild = object('p:\n r2 = *(u32 *)(r1 + 0x0)\n r0 = *(u8 *)(r2 + 0x0)\n exit');
      for (let again = 0; again < 2; again++)
        await expect(load(wild, { engine })).rejects.toMatchObject({
          code: 'SLUICE_PROGRAM_REFUSED',
          message: expect.stringMatching(/insn 1: invalid access to packet.*sluice verify made\.o:p/s),
        });
      const loaded = await load(wild, { engine, unverified: true });
      expect(loaded.programs['p']!.run({ data: new Uint8Array(64).fill(7) }).returnValue).toBe(7);
      loaded.close();
    },
  );

  it('loads a program that is not loaded by itself when asked for', async () => {
    const spec = object('p:\n r0 = 1\n exit', '?xdp');
    expect(Object.keys((await load(spec)).programs)).toEqual([]);
    expect(Object.keys((await load(spec, { programs: ['p'] })).programs)).toEqual(['p']);
    await expect(load(spec, { programs: ['q'] })).rejects.toMatchObject({ code: 'SLUICE_NO_PROGRAM' });
  });

  it('collects what programs trace', async () => {
    const text = `p:
  r1 = 0x0064253d78 ll
  *(u64 *)(r10 - 0x8) = r1
  r1 = r10
  r1 += -8
  r2 = 5
  r3 = 42
  call 0x6
  r0 = 2
  exit`;
    for (const engine of ['jit', 'interpreter'] as const) {
      const loaded = await load(object(text), { engine });
      loaded.programs['p']!.run({ data: packet });
      expect(loaded.runtime.printk()).toEqual({ lines: ['x=42'], dropped: 0 });
    }
  });

  it('replays a run by its seed', async () => {
    const random = async (seed: bigint) => {
      const loaded = await load(object('p:\n call 0x7\n exit'), { seed });
      return [1, 2, 3].map(() => loaded.programs['p']!.run({ data: packet }).returnValue);
    };
    expect(await random(7n)).toEqual(await random(7n));
    expect(await random(7n)).not.toEqual(await random(8n));
  });

  it('gives table entries and memory back', async () => {
    const bytes = readFileSync('bpf/objects/xdp_parser.bpf.o');
    const first = await load(bytes);
    const { runtime } = first;
    first.close();
    const spec = readObject(bytes, 'parser');
    for (let i = 0; i < 3; i++) (await load(spec, { runtime })).close();
    const entries = runtime.plane.table.length;
    const pages = runtime.plane.memory.buffer.byteLength;
    for (let i = 0; i < 5; i++) (await load(spec, { runtime })).close();
    expect(runtime.plane.table.length).toBe(entries);
    expect(runtime.plane.memory.buffer.byteLength).toBe(pages);
  });

  it('is an UnsupportedError for a helper that XDP has in Linux and not here', async () => {
    // 109: bpf_send_signal, which needs a process.
    await expect(load(object('p:\n r1 = 9\n call 0x6d\n r0 = 0\n exit'))).rejects.toBeInstanceOf(UnsupportedError);
  });
});
