/// Connections that ended because their worker was killed, since the service was started: over upgrades and crashes.
package struct Cuts: Hashable, Sendable {
  package var connections: Int
  /// Processes that were killed with connections that could not be counted.
  package var uncounted: Int

  package init(connections: Int = 0, uncounted: Int = 0) {
    self.connections = connections
    self.uncounted = uncounted
  }

  package static func += (left: inout Cuts, right: Cuts) {
    left.connections += right.connections
    left.uncounted += right.uncounted
  }
}
