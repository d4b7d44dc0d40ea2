// bpf_vnet_*: what a steering program may ask of its device, and say of its packet. Outside of a device: -EOPNOTSUPP.
import { SKB_DATA_END, SKB_MAC_HEADER, SKB_STEER_CONFIGURATION, SKB_VNET_HASH, SKB_VNET_REPORT } from '../../layout/skb';
import { RSS_INPUT } from '../../layout/steering';
import { EINVAL, EOPNOTSUPP } from '../errno';
import { rss_compute } from '../steering/rss';
import { rss_toeplitz } from '../steering/toeplitz';

const REPORT_MAX: u32 = 9;

/** The device's own computation: hash, report and queue into struct bpf_vnet_rss (8 bytes). 0, -EINVAL for another size. */
export function bpf_vnet_rss(ctx: u64, result: u64, size: u64): i64 {
  const skb = <usize>ctx;
  const configuration = <usize>load<u32>(skb, SKB_STEER_CONFIGURATION);
  if (configuration == 0) return EOPNOTSUPP;
  if (<u32>size != 8) return EINVAL;
  rss_compute(configuration, <usize>load<u32>(skb, SKB_MAC_HEADER), <usize>load<u32>(skb, SKB_DATA_END), <usize>result);
  return 0;
}

/** Hash of the input under the device's key. -EINVAL where the key is shorter than the input and 4 bytes. */
export function bpf_vnet_toeplitz(ctx: u64, input: u64, size: u64): i64 {
  const configuration = <usize>load<u32>(<usize>ctx, SKB_STEER_CONFIGURATION);
  if (configuration == 0) return EOPNOTSUPP;
  if (<u32>size > load<u32>(configuration, RSS_INPUT)) return EINVAL;
  return <i64>rss_toeplitz(configuration, <usize>input, <u32>size);
}

/** Hash and report of the packet. -EINVAL for a report that the specification has no number for; NONE takes the hash back. */
export function bpf_vnet_set_hash(ctx: u64, hash: u64, report: u64): i64 {
  const skb = <usize>ctx;
  if (load<u32>(skb, SKB_STEER_CONFIGURATION) == 0) return EOPNOTSUPP;
  if (<u32>report > REPORT_MAX) return EINVAL;
  store<u32>(skb, <u32>report == 0 ? 0 : <u32>hash, SKB_VNET_HASH);
  store<u16>(skb, <u16>report, SKB_VNET_REPORT);
  return 0;
}
