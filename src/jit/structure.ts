/**
 * Structured control flow from the dominator tree (Norman Ramsey, "Beyond Relooper", ICFP 2022): a block that is jumped back
 * to becomes a `loop`, a block with several forward edges follows the end of a wasm `block`, every other block stands where
 * its only jump stands. The graph must be reducible. Works on a stack of its own: programs are deeper than JavaScript's.
 */
import { InternalError } from '../errors.ts';
import { dominates, type FlowGraph } from './dominators.ts';
import { type Block, successors, type Terminator } from './ir.ts';
import type { Code } from './wasm/encoder.ts';
import { wasm } from './wasm/opcodes.ts';

/** What stands in the blocks. */
export interface BlockWriter {
  /** At the start of each round of a loop; a branch of that depth leads to `outermost`. */
  loopHeader(depth: number): void;
  /** After all blocks, where only such branches lead; undefined: there are none. */
  readonly outermost: (() => void) | undefined;
  ops(block: number): void;
  /** Leaves an i32 that is not zero where the block goes to its first successor (`taken`), zero for the second. */
  condition(block: number): void;
  /** Leaves an i32: for a dispatch the value, for a switch its distance from the first slot, or more than there are. */
  index(block: number): void;
  /** What is left to do before a jump to the only successor. */
  beforeJump(block: number): void;
  exit(block: number): void;
}

type Task = () => void;

export function writeStructured(code: Code, blocks: readonly Block[], graph: FlowGraph, writer: BlockWriter): void {
  const merges = new Uint8Array(blocks.length);
  const headers = new Uint8Array(blocks.length);
  const forward = new Int32Array(blocks.length);
  for (const block of graph.order) {
    const end = blocks[block]!.end;
    for (const next of successors(end)) {
      if (graph.position[next]! > graph.position[block]!) {
        forward[next]!++;
        if (end.kind === 'switch' || end.kind === 'dispatch') merges[next] = 1;
      } else if (dominates(graph, next, block)) headers[next] = 1;
      else throw new InternalError(`irreducible edge from block ${block} to ${next}`);
    }
  }
  // Merge blocks below their immediate dominator, the first in order last: it is the innermost wasm block.
  const followers: number[][] = blocks.map(() => []);
  for (const block of [...graph.order].reverse()) {
    if (forward[block]! > 1) merges[block] = 1;
    if (merges[block] === 1) followers[graph.dominator[block]!]!.push(block);
  }

  /** Depth in the wasm nesting at which the label of a block stands; the label leads to that block. */
  const labels = new Map<number, number>();
  let nesting = 0;
  const tasks: Task[] = [];
  const open = (opcode: typeof wasm.block | typeof wasm.loop | typeof wasm.if, label?: number): void => {
    code.open(opcode);
    if (label !== undefined) labels.set(label, nesting);
    nesting++;
  };
  const close = (label?: number): void => {
    code.end();
    nesting--;
    if (label !== undefined) labels.delete(label);
  };
  const depth = (block: number): number | undefined => {
    const at = labels.get(block);
    return at === undefined ? undefined : nesting - 1 - at;
  };
  const jump = (block: number): void => {
    const distance = depth(block);
    if (distance === undefined) tasks.push(() => tree(block));
    else code.branch(wasm.br, distance);
  };

  const tree = (block: number): void => {
    const isLoop = headers[block] === 1;
    if (isLoop) {
      open(wasm.loop, block);
      tasks.push(() => close(block));
    }
    for (const follower of followers[block]!) {
      open(wasm.block, follower);
      tasks.push(() => {
        close(follower);
        tree(follower);
      });
    }
    if (isLoop) writer.loopHeader(nesting - 1);
    writer.ops(block);
    leave(block);
  };

  const leave = (block: number): void => {
    const { end } = blocks[block]!;
    switch (end.kind) {
      case 'exit':
        writer.exit(block);
        return;
      case 'goto':
      case 'route':
        writer.beforeJump(block);
        jump(end.target);
        return;
      case 'branch':
      case 'may-goto': {
        if (end.taken === end.otherwise) {
          jump(end.taken);
          return;
        }
        writer.condition(block);
        const taken = depth(end.taken);
        if (taken !== undefined) {
          code.branch(wasm.brIf, taken);
          jump(end.otherwise);
          return;
        }
        const otherwise = depth(end.otherwise);
        if (otherwise !== undefined) {
          code.op(wasm.i32Eqz);
          code.branch(wasm.brIf, otherwise);
          jump(end.taken);
          return;
        }
        open(wasm.if);
        tasks.push(() => {
          close();
          tree(end.otherwise);
        });
        jump(end.taken);
        return;
      }
      case 'switch':
      case 'dispatch': {
        open(wasm.block);
        writer.index(block);
        code.branchTable(
          tableOf(end).map((target) => (target === undefined ? 0 : depth(target)!)),
          0,
        );
        close();
        code.op(wasm.unreachable);
      }
    }
  };

  if (writer.outermost !== undefined) open(wasm.block);
  tree(0);
  for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) task();
  if (writer.outermost !== undefined) {
    code.op(wasm.unreachable);
    close();
    writer.outermost();
  }
  code.op(wasm.unreachable);
}

/** Targets by index: a switch has one for each slot from its first to its last, undefined between. */
function tableOf(end: Extract<Terminator, { kind: 'switch' | 'dispatch' }>): readonly (number | undefined)[] {
  if (end.kind === 'dispatch') return end.targets;
  const first = end.slots[0] ?? 0;
  const table = new Array<number | undefined>((end.slots.at(-1) ?? -1) - first + 1).fill(undefined);
  end.slots.forEach((slot, at) => {
    table[slot - first] = end.targets[at];
  });
  return table;
}
