/** Infrared decoders: one __u32 sample; lirc_mode2_is_valid_access and lirc_mode2_func_proto, drivers/media/rc/bpf-lirc.c. */
import { u32 } from '../contexts/fields.ts';
import { helperSet } from '../helpers/helper-set.ts';
import type { ProgramDeclaration } from '../program-declaration.ts';

export const lircMode2: ProgramDeclaration = {
  type: 'lirc_mode2',
  since: '4.18',
  context: { struct: '__u32', size: 4, fields: [u32('sample', 0)] },
  helpers: helperSet(new Map(), [
    'rc_repeat',
    'rc_keydown',
    'rc_pointer_rel',
    'map_lookup_elem',
    'map_update_elem',
    'map_delete_elem',
    'map_push_elem',
    'map_pop_elem',
    'map_peek_elem',
    'ktime_get_ns',
    'ktime_get_boot_ns',
    'tail_call',
    'get_prandom_u32',
    'trace_printk',
  ]),
  attachTypes: ['lirc_mode2'],
  attachTypeRequired: false,
  returns: 'any',
  verdicts: new Map(),
  packetAccess: 'none',
  packetArguments: 'none',
  packetLoads: false,
  sleepable: 'never',
  gplOnly: false,
  testRun: false,
  stability: { level: 'stable', since: '0.1.0' },
};
