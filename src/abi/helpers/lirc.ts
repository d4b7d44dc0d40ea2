/** Infrared decoders: drivers/media/rc/bpf-lirc.c. */
import { helper } from './prototype-builder.ts';

const gplOnly = { gplOnly: true };

export const lircHelpers = [
  helper('bpf_rc_repeat', ['ctx'], 'integer', gplOnly),
  helper('bpf_rc_keydown', ['ctx', 'anything', 'anything', 'anything'], 'integer', gplOnly),
  helper('bpf_rc_pointer_rel', ['ctx', 'anything', 'anything'], 'integer', gplOnly),
];
