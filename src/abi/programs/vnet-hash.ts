/**
 * Steering programs that report: socket filters whose context has hash, report and queue behind struct __sk_buff, as in the patches of October 2023 ("Introduce
 * BPF_PROG_TYPE_VNET_HASH", RFC v2), which no kernel has merged. The queue is the context's, taken modulo the number of queues; the return value means nothing.
 */
import { SKB_VNET_CONTEXT_SIZE, SKB_VNET_HASH, SKB_VNET_QUEUE, SKB_VNET_REPORT } from '../../plane/layout/skb.ts';
import { field } from '../contexts/fields.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';
import { socketFilter } from './socket-filter.ts';

const writable = { write: true };

export const vnetHash: ProgramDeclaration = {
  ...socketFilter,
  type: 'vnet_hash',
  since: 'Sluice 0.2.0',
  context: {
    struct: '__sk_buff',
    size: SKB_VNET_CONTEXT_SIZE,
    fields: [
      ...socketFilter.context.fields,
      // Whole loads and stores alone; zeros before the program runs.
      field('vnet_hash_value', SKB_VNET_HASH, 4, writable),
      field('vnet_hash_report', SKB_VNET_REPORT, 2, writable),
      field('vnet_rss_queue', SKB_VNET_QUEUE, 2, writable),
    ],
  },
  verdicts: new Map(),
  testRun: false,
  stability: { level: 'experimental', since: '0.2.0' },
};
