/**
 * Small innermost loops without calls are written out several times: V8 looks at its stack limit, and a program with fuel at its
 * budget, once for every pass of a loop's header. Trip counts need not be known: each copy keeps its exits. V8 unrolls too, but leaves
 * loops alone that its own stack check in shared memory has made large.
 */
import { dominates, type FlowGraph } from './dominators.ts';
import type { Block, Op, Terminator } from './ir.ts';

/** How often a loop is written at most, and how many operations and branches all copies together may have. */
export const MOST_COPIES = 8;
const MOST_OPERATIONS = 128;

/** The same blocks where no loop is fit for it. Stays reducible; new blocks stand behind the old ones. */
export function unrollLoops(blocks: readonly Block[], graph: FlowGraph): readonly Block[] {
  const headers = graph.order.filter((block) => backEdges(graph, block).length > 0);
  const unrolled: Block[] = [];
  for (const header of headers) {
    const body = naturalLoop(graph, header);
    if (body === undefined || headers.some((other) => other !== header && body.has(other))) continue;
    const members = [...body].map((block) => blocks[block]!);
    if (!members.every(isPlain)) continue;
    const size = members.reduce((sum, { ops }) => sum + ops.length + 1, 0);
    const copies = Math.min(MOST_COPIES, Math.floor(MOST_OPERATIONS / size));
    if (copies < 2) continue;
    if (unrolled.length === 0) unrolled.push(...blocks);
    writeCopies(unrolled, header, [...body], copies);
  }
  return unrolled.length === 0 ? blocks : unrolled;
}

function backEdges(graph: FlowGraph, header: number): number[] {
  return graph.predecessors[header]!.filter((from) => graph.position[from]! >= graph.position[header]!);
}

/** The blocks from which the header is reached again without leaving through it; undefined if that leads past the header. */
function naturalLoop(graph: FlowGraph, header: number): Set<number> | undefined {
  const body = new Set([header]);
  const work = backEdges(graph, header);
  for (let block = work.pop(); block !== undefined; block = work.pop()) {
    if (body.has(block)) continue;
    if (!dominates(graph, header, block)) return undefined;
    body.add(block);
    work.push(...graph.predecessors[block]!);
  }
  return body;
}

/** A call costs more than what unrolling saves; switches and dispatches are not renumbered. */
function isPlain({ ops, end }: Block): boolean {
  const known = end.kind === 'goto' || end.kind === 'branch' || end.kind === 'may-goto' || end.kind === 'exit';
  return known && !ops.some(isCall);
}

function isCall({ kind }: Op): boolean {
  return kind === 'helper' || kind === 'helper-indirect' || kind === 'kfunc' || kind === 'call' || kind === 'loop';
}

/** The loop's way back leads to the first copy, from each copy to the next, and from the last to the header. */
function writeCopies(blocks: Block[], header: number, body: readonly number[], copies: number): void {
  const originals = body.map((block) => blocks[block]!);
  const first = blocks.length;
  const place = new Map(body.map((block, at) => [block, at]));
  /** Where copy `copy` (0: the loop itself) goes when the loop goes to `target`. */
  const destination = (copy: number, target: number): number => {
    if (target === header) return copy + 1 === copies ? header : first + copy * body.length + place.get(header)!;
    const at = place.get(target);
    if (at === undefined || copy === 0) return target;
    return first + (copy - 1) * body.length + at;
  };
  body.forEach((block, at) => {
    blocks[block] = { ...originals[at]!, end: redirected(originals[at]!.end, (target) => destination(0, target)) };
  });
  for (let copy = 1; copy < copies; copy++) {
    for (const { slot, ops, end } of originals) {
      // What is known of an operation is kept by its identity.
      const own = ops.map((op) => ({ ...op }));
      blocks.push({ slot, ops: own, end: redirected(end, (target) => destination(copy, target)) });
    }
  }
}

function redirected(end: Terminator, to: (target: number) => number): Terminator {
  switch (end.kind) {
    case 'goto':
      return { ...end, target: to(end.target) };
    case 'branch':
    case 'may-goto':
      return { ...end, taken: to(end.taken), otherwise: to(end.otherwise) };
    default:
      return end;
  }
}
