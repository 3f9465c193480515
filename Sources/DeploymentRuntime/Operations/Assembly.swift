package import Deployment

/// All that one operation is made of.
package struct Assembly {
  package let operation: Operation
  /// One for each step of the intent but `lock` and `markGood`, which are the executor's.
  package var steps: [Step: any OperationStep]
  package var hooks: (any OperationHooks)?
  /// Unpacks the previous release from its archive and activates that; asked only when activation cannot be undone.
  package var restoration: (any OperationStep)?
  /// What the unit runs, as the supervisor or systemd says.
  package var running: () -> Reality.Running

  package init(
    _ operation: Operation, steps: [Step: any OperationStep], hooks: (any OperationHooks)? = nil,
    restoration: (any OperationStep)? = nil, running: @escaping () -> Reality.Running = { .unknown }
  ) {
    self.operation = operation
    self.steps = steps
    self.hooks = hooks
    self.restoration = restoration
    self.running = running
  }
}

/// A step without anything to do.
package struct NoStep: OperationStep {
  package init() {}
  package func run(_: Operation) {}
  package func undo(_: Operation) {}
}
