/** A record of a ring as Chrome's trace format: one row of boxes for each request that is under way at once. */
import { errnoName } from '../abi/errno.ts';
import { opcodes } from '../abi/io-uring/opcodes.ts';
import type { RingRecord } from '../hooks/ring/simulated/record.ts';

const names = new Map<number, string>(Object.entries(opcodes).map(([name, { number }]) => [number, name]));

/** Name of an opcode: `read`; `opcode 99` of one that is not known. */
export function opcodeName(number: number): string {
  return names.get(number) ?? `opcode ${number}`;
}

/** `4096`, `ENOENT`. */
export function resultText(res: number): string {
  return res < 0 ? errnoName(-res) : String(res);
}

/** JSON (Trace Event Format). Times of the record are ns, those of the format µs. */
export function chromeTrace(record: RingRecord): string {
  /** End of the last request in each row. */
  const rows: number[] = [];
  const events = record.requests.map((request, index) => {
    const last = request.completions.at(-1);
    const end = last?.at ?? request.at;
    const free = rows.findIndex((until) => until <= request.at);
    const row = free < 0 ? rows.length : free;
    rows[row] = end;
    return {
      name: opcodeName(request.opcode),
      cat: 'request',
      ph: 'X',
      ts: request.at / 1000,
      dur: (end - request.at) / 1000,
      pid: 1,
      tid: row + 1,
      args: {
        request: index,
        fd: request.fd,
        offset: request.offset,
        length: request.length,
        results: request.completions.map(({ res }) => resultText(res)),
      },
    };
  });
  return JSON.stringify({ displayTimeUnit: 'ns', traceEvents: events });
}
