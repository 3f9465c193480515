import Glibc
import Testing

/// The program of the unit tests. Being named, it need not be put together from an index of every file, which takes a tenth
/// of the build. `swift test` takes a named one for XCTest's, of which there are none, unless that is switched off.
@main struct UnitTests {
  static func main() async {
    switch CommandLine.arguments.dropFirst().first {
    case "--dump-tests-json": print(#"{"name":"XCTest","tests":[]}"#)
    case _ where CommandLine.arguments.contains("swift-testing"): await Testing.__swiftPMEntryPoint() as Never
    default:
      print("nothing was tested: say `swift test --disable-xctest`, with what else you said, or scripts/test")
      exit(64)
    }
  }
}
