/**
 * What stands in the kernel before an AF_XDP socket: a program of the user's, whose XDP_PASS means the socket, and a seal on the metadata that it
 * left, because a descriptor of AF_XDP does not say how long metadata is (plane/layout/xsk.ts: XSK_SEAL_*).
 */
import { xdpAction } from '../abi/programs/xdp.ts';
import { assemble } from '../isa/assembler.ts';
import type { Insn } from '../isa/insn.ts';
import { CALL_SOURCE } from '../isa/opcodes.ts';
import { readObject } from '../object/index.ts';
import type { ObjectSpec, Reference } from '../object/spec.ts';
import { writeObject } from '../object/write.ts';
import { HINT_HASH, HINT_TIMESTAMP, HINT_VLAN } from '../plane/layout/frame.ts';
import * as layout from '../plane/layout/xsk.ts';
import { ownMap, withFront } from './program-front.ts';

export const XSK_MAP = '.sluice.xsks';

export interface IngressOptions {
  /** Sockets, a queue each. */
  readonly queues: number;
  /** Says how long the metadata is. */
  readonly seal: boolean;
  /** Puts what the driver knows of the packet before the seal: hash, VLAN, time (rx metadata kfuncs; the program must be bound to a device). */
  readonly hints: boolean;
}

/** The object with its program `name` leading to the sockets that are put into the map XSK_MAP. Verdicts but XDP_PASS stay what they are. */
export function withSockets(object: ObjectSpec, name: string, options: IngressOptions): ObjectSpec {
  const { insns } = assemble(frontText(options), { syntax: 'llvm' });
  const references = new Map<number, Reference>();
  const linked = insns.map((insn, slot): Insn => {
    const kfunc = insn.opcode === 0x85 && insn.src === 0 ? kfuncs[insn.imm - FIRST_KFUNC] : undefined;
    if (kfunc !== undefined) {
      references.set(slot, { kind: 'kfunc', name: kfunc, weak: false });
      return { ...insn, src: CALL_SOURCE.KFUNC, imm: 0 };
    }
    if (insn.opcode === 0x18) references.set(slot, { kind: 'map', map: XSK_MAP });
    return insn;
  });
  const map = ownMap({ name: XSK_MAP, type: 'xskmap', keySize: 4, valueSize: 4, maxEntries: options.queues });
  return withFront(object, name, { insns: linked, call: 1, references, map });
}

/** Every packet goes to the socket of its queue. */
export function passingObject(): ObjectSpec {
  const { insns, functions } = assemble(`to_socket:\nr0 = ${xdpAction.pass}\nexit`, { syntax: 'llvm' });
  return readObject(writeObject({ section: 'xdp', license: 'GPL', insns, functions }), 'to_socket');
}

/** Calls of these numbers stand for kfuncs. */
const FIRST_KFUNC = 0x7000;
const kfuncs = ['bpf_xdp_metadata_rx_timestamp', 'bpf_xdp_metadata_rx_hash', 'bpf_xdp_metadata_rx_vlan_tag'];

// r6: context; r7: what the seal says; r8: length of the metadata; r9: hints that there are.
function frontText({ seal, hints }: IngressOptions): string {
  const room = layout.XSK_SEAL_SIZE + (hints ? layout.XSK_HINTS_SIZE : 0);
  return `
  r6 = r1
  call 0
  if w0 != ${xdpAction.pass} goto out
${hints ? readHints : ''}
${seal ? sealText(room, hints) : ''}
redirect:
  r2 = *(u32 *)(r6 + 16)
  r1 = 0 ll
  r3 = ${xdpAction.pass}
  call 51
out:
  exit`;
}

/** Hints lie on the stack, 24 bytes below r10, as XSK_HINTS_*. */
const readHints = `
  r1 = 0
  *(u64 *)(r10 - 24) = r1
  *(u64 *)(r10 - 16) = r1
  *(u64 *)(r10 - 8) = r1
  r9 = 0
  r1 = r6
  r2 = r10
  r2 += -24
  call ${FIRST_KFUNC}
  if w0 != 0 goto no_time
  r9 |= ${HINT_TIMESTAMP}
no_time:
  r1 = r6
  r2 = r10
  r2 += -16
  r3 = r10
  r3 += -12
  call ${FIRST_KFUNC + 1}
  if w0 != 0 goto no_hash
  r9 |= ${HINT_HASH}
no_hash:
  r1 = r6
  r2 = r10
  r2 += -8
  r3 = r10
  r3 += -6
  call ${FIRST_KFUNC + 2}
  if w0 != 0 goto no_vlan
  r9 |= ${HINT_VLAN}
no_vlan:
  *(u32 *)(r10 - 4) = r9`;

/** Makes room between metadata and packet. Where there is none, the metadata is given up, and the seal says so. */
function sealText(room: number, hints: boolean): string {
  const words = hints ? [0, 4, 8, 12, 16, 20] : [];
  return `
  r2 = *(u32 *)(r6 + 8)
  r7 = *(u32 *)(r6 + 0)
  r7 -= r2
  r1 = r6
  r2 = ${-room}
  call 54
  if w0 == 0 goto moved
  r1 = r6
  r2 = r7
  call 54
  if w0 != 0 goto redirect
  r1 = r6
  r2 = ${-room}
  call 54
  if w0 != 0 goto redirect
  r7 = ${layout.XSK_SEAL_LOST}
moved:
  r8 = r7
  r8 &= 255
  r2 = *(u32 *)(r6 + 8)
  r3 = *(u32 *)(r6 + 0)
  r4 = 0
next_word:
  if r4 >= r8 goto all_words
  r5 = r2
  r5 += r4
  r0 = r5
  r0 += ${room + 4}
  if r0 > r3 goto all_words
  r1 = *(u32 *)(r5 + ${room})
  *(u32 *)(r5 + 0) = r1
  r4 += 4
  goto next_word
all_words:
  r5 = r2
  r5 += r8
  r0 = r5
  r0 += ${room}
  if r0 > r3 goto redirect
${words.map((at) => `  r1 = *(u32 *)(r10 - ${layout.XSK_HINTS_SIZE - at})\n  *(u32 *)(r5 + ${at}) = r1`).join('\n')}
${hints ? `  r7 |= ${layout.XSK_SEAL_HINTS}` : ''}
  *(u32 *)(r5 + ${room - layout.XSK_SEAL_SIZE}) = r7
  r1 = ${layout.XSK_SEAL_MAGIC}
  *(u32 *)(r5 + ${room - 4}) = r1`;
}
