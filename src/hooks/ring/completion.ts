/** What a request ends with, and what a queue gives out. */
import { CQE_F_ESCALATED } from '../../plane/layout/ring.ts';
import { CQE_F_BUFFER, CQE_F_MORE } from '../../plane/layout/sqe.ts';

/** struct io_uring_cqe. */
export class Completion {
  /** Halves of user_data. */
  readonly low: number;
  readonly high: number;
  /** Result, or a negated errno. */
  readonly res: number;
  /** IORING_CQE_F_. */
  readonly flags: number;

  constructor(low: number, high: number, res: number, flags: number) {
    this.low = low;
    this.high = high;
    this.res = res;
    this.flags = flags;
  }

  get userData(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  /** More completions of the request follow. */
  get more(): boolean {
    return (this.flags & CQE_F_MORE) !== 0;
  }

  /** Buffer that was chosen from a group; undefined: none was. */
  get bufferId(): number | undefined {
    return (this.flags & CQE_F_BUFFER) === 0 ? undefined : this.flags >>> 16;
  }

  /** Not of the request itself: why a program did not go on, ESCALATE_ of plane/layout/ring.ts. */
  get escalation(): number | undefined {
    return (this.flags & CQE_F_ESCALATED) === 0 ? undefined : this.flags >>> 16;
  }
}
