/** Reverse postorder, predecessors and the dominator tree (Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm"). */
import { type Block, successors } from './ir.ts';

export interface FlowGraph {
  /** Block numbers, entry first. Every block can be reached. */
  readonly order: readonly number[];
  /** Place of a block in `order`. */
  readonly position: Int32Array;
  readonly predecessors: readonly (readonly number[])[];
  /** Immediate dominator by block; the entry's is itself. */
  readonly dominator: Int32Array;
}

export function flowGraph(blocks: readonly Block[]): FlowGraph {
  const order = reversePostorder(blocks);
  const position = new Int32Array(blocks.length).fill(-1);
  order.forEach((block, index) => {
    position[block] = index;
  });
  const predecessors: number[][] = blocks.map(() => []);
  for (const block of order) for (const next of successors(blocks[block]!.end)) predecessors[next]!.push(block);
  return { order, position, predecessors, dominator: dominators(order, position, predecessors) };
}

function reversePostorder(blocks: readonly Block[]): number[] {
  const seen = new Uint8Array(blocks.length);
  const postorder: number[] = [];
  const stack: { block: number; next: readonly number[]; at: number }[] = [];
  const enter = (block: number): void => {
    seen[block] = 1;
    stack.push({ block, next: successors(blocks[block]!.end), at: 0 });
  };
  enter(0);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const next = top.next[top.at++];
    if (next === undefined) {
      postorder.push(top.block);
      stack.pop();
    } else if (seen[next] === 0) enter(next);
  }
  return postorder.reverse();
}

function dominators(order: readonly number[], position: Int32Array, predecessors: readonly number[][]): Int32Array {
  const dominator = new Int32Array(position.length).fill(-1);
  const entry = order[0]!;
  dominator[entry] = entry;
  const meet = (a: number, b: number): number => {
    let left = a;
    let right = b;
    while (left !== right) {
      while (position[left]! > position[right]!) left = dominator[left]!;
      while (position[right]! > position[left]!) right = dominator[right]!;
    }
    return left;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of order) {
      if (block === entry) continue;
      let found = -1;
      for (const predecessor of predecessors[block]!) {
        if (dominator[predecessor] === -1) continue;
        found = found === -1 ? predecessor : meet(predecessor, found);
      }
      if (found !== dominator[block]) {
        dominator[block] = found;
        changed = true;
      }
    }
  }
  return dominator;
}

export function dominates(graph: FlowGraph, above: number, below: number): boolean {
  let block = below;
  while (graph.position[block]! > graph.position[above]!) block = graph.dominator[block]!;
  return block === above;
}

/** Every edge that goes back in the order goes to a block that dominates its source. */
export function isReducible(graph: FlowGraph): boolean {
  for (const block of graph.order)
    for (const predecessor of graph.predecessors[block]!)
      if (graph.position[predecessor]! >= graph.position[block]! && !dominates(graph, block, predecessor)) return false;
  return true;
}
