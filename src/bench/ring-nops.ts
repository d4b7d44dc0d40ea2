/** Nops: what a request costs beside the kernel's part, staged by JavaScript, or issued by a program on the completion of the one before. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from '../index.ts';
import { SQE_CALLBACK } from '../plane/layout/sqe.ts';
import { Ring } from '../ring.ts';
import { isArray } from '../runtime/handles.ts';
import { elapsed, type RingCase } from './ring-cases.ts';
import type { RingPeer } from './ring-peer.ts';

const DEPTHS = [1, 8, 32, 128];
const COUNT = 1 << 16;

export async function nopCases(bpf: string, peer: RingPeer | undefined): Promise<readonly RingCase[]> {
  let ring: Ring;
  let start: (count: number, depth: number) => void;
  const prepare = async () => {
    ring = await Ring.create({ entries: 256 });
    const object = await load(readFileSync(join(bpf, 'objects/ring/nops.bpf.o')), { runtime: ring.runtime });
    const callback = ring.programs.attach(object).get('nops')!;
    const { '.bss': bss, '.rodata': rodata } = object.maps;
    if (bss === undefined || !isArray(bss) || rodata === undefined || !isArray(rodata)) throw new Error('nops.bpf.o');
    const left = new DataView(bss.bytes().buffer, bss.bytes().byteOffset);
    const constants = rodata.bytes();
    new DataView(constants.buffer, constants.byteOffset).setUint32(0, callback, true);
    start = (count, depth) => {
      left.setBigUint64(0, BigInt(count - depth), true);
      left.setUint32(8, depth, true);
      for (let i = 0; i < depth; i++) ring.stage((view, at) => view.setUint16(at + SQE_CALLBACK, callback, true));
      ring.submitAndWait(1);
      ring.completions.shift();
    };
  };
  const after = () => ring.close();
  const nop = () => {};
  const staged = (count: number, depth: number) => {
    for (let done = 0; done < count; done += depth) {
      for (let i = 0; i < depth; i++) ring.stage(nop);
      ring.submitAndWait(depth);
      ring.completions.take(nop);
    }
  };
  const common = { count: COUNT, prepare, after };
  return DEPTHS.flatMap((depth): RingCase[] => [
    {
      ...common,
      name: `nop, depth ${depth}: JavaScript`,
      ours: (count) => elapsed(() => staged(count, depth)),
      peers: peer === undefined ? {} : { 'liburing-c': (count) => peer.run('nop', count, depth) },
    },
    {
      ...common,
      name: `nop, depth ${depth}: program`,
      ours: (count) => elapsed(() => start(count, depth)),
      peers: peer === undefined ? {} : { 'liburing-c': (count) => peer.run('nop', count, depth) },
    },
    ...(depth === 128
      ? []
      : [
          {
            ...common,
            name: `dependent nops, ${depth} side by side: program, against links of two in C`,
            ours: (count: number) => elapsed(() => start(count, depth)),
            peers: peer === undefined ? {} : { 'liburing-c': (count: number) => peer.run('link', count, depth) },
          },
        ]),
  ]);
}
