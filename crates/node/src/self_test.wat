;; Fifty million steps of a linear congruential generator, whose last value is known: prints `ok`
;; if it comes out, traps if not. A node runs it to see that its runner works and how fast it is.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\03\00\00\00ok\n")
  (func (export "_start") (local $left i32) (local $x i32)
    (local.set $left (i32.const 50000000))
    (local.set $x (i32.const 1))
    (loop $step
      (local.set $x
        (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (br_if $step (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (if (i32.ne (local.get $x) (i32.const -288021375)) (then (unreachable)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))
