/// How a child ended.
package enum ChildExit: Hashable, Sendable {
  case exited(Int32)
  /// By a signal's number.
  case signalled(Int32)
}

/// The one place that reaps. Whoever starts a process says so here, and nobody else waits for children.
package protocol ChildWatcher: AnyObject {
  /// Calls `ended` once, on the loop's thread and never from inside, when the child `pid` has been reaped. The number is
  /// not to be signalled any more from then on.
  func watch(_ pid: Int32, _ ended: @escaping (ChildExit) -> Void)
}
