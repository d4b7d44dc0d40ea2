/**
 * BPF_LD ABS and IND (RFC 9669 section 5.6): loads in network byte order from the packet. As bpf_gen_ld_abs and bpf_skb_load_helper_* do in
 * net/core/filter.c: the offset has 32 bits; negative ones count from the network or the link header; beyond the packet the function
 * returns 0.
 */
import { UnsupportedError } from '../errors.ts';
import { SKB_DATA, SKB_DATA_END, SKB_MAC_HEADER, SKB_NETWORK_HEADER } from '../plane/layout/skb.ts';
import { pushSwapped } from './emit-alu.ts';
import type { Emitter } from './emitter.ts';
import { CONTEXT_REGISTER, NO_REGISTER, type Op } from './ir.ts';
import { I32, I64, wasm } from './wasm/opcodes.ts';

type PacketLoad = Extract<Op, { kind: 'load-packet' }>;

/** SKF_NET_OFF and SKF_LL_OFF: negative offsets from here up are counted from the network header, from the link header. */
const NETWORK_OFFSET = -0x10_0000;
const LINK_OFFSET = -0x20_0000;

const RAW_PACKET = 'raw-packet';
const RAW_LENGTH = 'raw-length';

/** At the entry of a raw program: its packet is the memory that it was given, whatever becomes of r1 and r2. */
export function keepRawPacket(e: Emitter): void {
  const { blocks } = e.analysis.webs;
  if (!blocks.some(({ ops }) => ops.some(({ kind }) => kind === 'load-packet'))) return;
  for (const [parameter, name] of [RAW_PACKET, RAW_LENGTH].entries()) {
    e.code.get(parameter);
    e.code.op(wasm.i32WrapI64);
    e.code.set(e.scratch(name, I32));
  }
}

export function emitPacketLoad(e: Emitter, op: PacketLoad): void {
  if (!op.fromContext && e.entry === undefined)
    throw new UnsupportedError(
      'packet loads in subprograms',
      `insn ${op.slot}: BPF_LD ABS and IND in a subprogram need a program type`,
    );
  const { code } = e;
  const offset = e.scratch('packet-offset', I32);
  if (op.index === NO_REGISTER) code.i32(op.imm);
  else {
    e.push(op.index, I32);
    code.i32(op.imm);
    code.op(wasm.i32Add);
  }
  code.set(offset);
  code.open(wasm.block); // loaded
  code.open(wasm.block); // beyond the packet
  if (op.fromContext) pushFromContext(e, op, offset);
  else pushFromMemory(e, op, offset);
  loadSwapped(e, op);
  e.define(op, I32);
  code.branch(wasm.br, 1);
  code.end();
  e.storeFuel();
  e.storeTailCount();
  code.i64(0n);
  code.op(wasm.return);
  code.end();
}

/** Leaves the address, or goes to label 0. */
function pushFromMemory(e: Emitter, op: PacketLoad, offset: number): void {
  const { code } = e;
  code.get(offset);
  code.op(wasm.i64ExtendI32U);
  code.i64(BigInt(op.size));
  code.op(wasm.i64Add);
  code.get(e.scratch(RAW_LENGTH, I32));
  code.op(wasm.i64ExtendI32U);
  code.op(wasm.i64GtU);
  code.branch(wasm.brIf, 0);
  code.get(e.scratch(RAW_PACKET, I32));
  code.get(offset);
  code.op(wasm.i32Add);
}

/** As pushFromMemory: the address is computed in 64 bits, so that no offset wraps around. */
function pushFromContext(e: Emitter, op: PacketLoad, offset: number): void {
  const { code } = e;
  const context = e.scratch('packet-context', I32);
  const address = e.scratch('packet-address', I64);
  e.push(CONTEXT_REGISTER, I32);
  code.set(context);
  const field = (at: number): void => {
    code.get(context);
    code.memory(wasm.i32Load, at);
    code.op(wasm.i64ExtendI32U);
  };
  const count = (from: number, base: number): void => {
    field(base);
    code.get(offset);
    code.op(wasm.i64ExtendI32S);
    code.op(wasm.i64Add);
    if (from !== 0) {
      code.i64(BigInt(-from));
      code.op(wasm.i64Add);
    }
    code.set(address);
  };
  const branches = (
    [
      [0, SKB_DATA],
      [NETWORK_OFFSET, SKB_NETWORK_HEADER],
      [LINK_OFFSET, SKB_MAC_HEADER],
    ] as const
  ).filter(([from], at, all) => op.index !== NO_REGISTER || (op.imm >= from && op.imm < (all[at - 1]?.[0] ?? 2 ** 31)));
  code.open(wasm.block); // counted
  for (const [from, base] of branches) {
    code.open(wasm.block);
    code.get(offset);
    code.i32(from);
    code.op(wasm.i32LtS);
    code.branch(wasm.brIf, 0);
    count(from, base);
    code.branch(wasm.br, 1);
    code.end();
  }
  code.branch(wasm.br, 1);
  code.end();
  code.get(address);
  code.i64(BigInt(op.size));
  code.op(wasm.i64Add);
  field(SKB_DATA_END);
  code.op(wasm.i64GtU);
  code.branch(wasm.brIf, 0);
  code.get(address);
  code.op(wasm.i32WrapI64);
}

function loadSwapped(e: Emitter, { size }: PacketLoad): void {
  const { code } = e;
  if (size === 1) {
    code.memory(wasm.i32Load8U, 0);
    return;
  }
  const value = e.scratch('packet-value', I32);
  code.memory(size === 2 ? wasm.i32Load16U : wasm.i32Load, 0);
  code.set(value);
  pushSwapped(e, size === 2 ? 16 : 32, () => code.get(value));
}
