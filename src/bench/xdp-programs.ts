/** XDP programs of `bench xdp` that are assembled here. */
import { xdpAction } from '../abi/programs/xdp.ts';
import { assemble } from '../isa/assembler.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec } from '../object/spec.ts';
import { writeObject } from '../object/write.ts';

/** An object of one XDP program. */
export function assembled(name: string, text: string): ObjectSpec {
  const { insns, functions } = assemble(`${name}:\n${text}`, { syntax: 'llvm' });
  return readObject(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), name);
}

/** Of the veth cases: the same work as the C receiver's. */
export const vethPrograms = {
  drop: `
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r0 = ${xdpAction.pass}
    r4 = r2
    r4 += 14
    if r4 > r3 goto out
    r5 = *(u8 *)(r2 + 12)
    if r5 != 8 goto out
    r0 = ${xdpAction.drop}
  out:
    exit`,
  echo: `
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r0 = ${xdpAction.drop}
    r4 = r2
    r4 += 14
    if r4 > r3 goto out
    r0 = ${xdpAction.pass}
    r5 = *(u8 *)(r2 + 12)
    if r5 != 8 goto out
    r3 = *(u32 *)(r2 + 0)
    r4 = *(u16 *)(r2 + 4)
    r5 = *(u32 *)(r2 + 6)
    r6 = *(u16 *)(r2 + 10)
    *(u32 *)(r2 + 0) = r5
    *(u16 *)(r2 + 4) = r6
    *(u32 *)(r2 + 6) = r3
    *(u16 *)(r2 + 10) = r4
    r0 = ${xdpAction.tx}
  out:
    exit`,
} as const;
