import Glibc

/// Code that only start-up needed stays resident until somebody says otherwise.
package enum ResidentCode {
  /// Lets go of the pages of code this process has mapped; what is still needed is fetched again, from the page cache.
  ///
  /// Only mappings that are executable and not writable: their pages are never changed, so nothing can be lost.
  /// Source: madvise(2) MADV_DONTNEED.
  package static func giveBack() {
    guard let maps = try? readFile("/proc/self/maps") else { return }
    for line in String(decoding: maps, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      guard fields.count >= 6, fields[1] == "r-xp", fields[5].hasPrefix("/") else { continue }
      let bounds = fields[0].split(separator: "-")
      guard bounds.count == 2, let start = UInt(bounds[0], radix: 16), let end = UInt(bounds[1], radix: 16),
        end > start,
        let address = UnsafeMutableRawPointer(bitPattern: start)
      else { continue }
      _ = madvise(address, Int(end - start), MADV_DONTNEED)
    }
  }
}
