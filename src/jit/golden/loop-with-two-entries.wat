(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $loop-with-two-entries (type 2) (param i64 i64) (result i64)
    (local i32 i64)
    (block  ;; label = @1
      (local.set 3
        (i64.const 0))
      (if  ;; label = @2
        (i64.eqz
          (local.get 0))
        (then
          (local.set 2
            (i32.const 1))
          (br 1 (;@1;))))
      (local.set 2
        (i32.const 0))
      (br 0 (;@1;)))
    (loop  ;; label = @1
      (block  ;; label = @2
        (block  ;; label = @3
          (block  ;; label = @4
            (br_table 2 (;@2;) 1 (;@3;) 0 (;@4;)
              (local.get 2)))
          (unreachable))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 2)))
        (local.set 2
          (i32.const 0))
        (br 1 (;@1;)))
      (local.set 3
        (i64.add
          (local.get 3)
          (i64.const 1)))
      (if  ;; label = @2
        (i64.gt_u
          (local.get 3)
          (i64.const 100))
        (then
          (return
            (local.get 3))))
      (local.set 2
        (i32.const 1))
      (br 0 (;@1;)))
    (unreachable))
  (export "loop-with-two-entries" (func 0))
  (export "loop-with-two-entries:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
