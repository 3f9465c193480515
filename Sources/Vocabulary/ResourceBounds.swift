/// What the kernel lets one worker take, with all it started. nil is no bound.
package struct ResourceBounds: Hashable, Sendable {
  package var memory: ByteCount?
  /// Of one processor.
  package var processorPercent: Int?
  package var processes: Int?

  package init(memory: ByteCount? = nil, processorPercent: Int? = nil, processes: Int? = nil) {
    self.memory = memory
    self.processorPercent = processorPercent
    self.processes = processes
  }
}
