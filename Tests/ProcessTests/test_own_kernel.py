"""What hosts without the memory controller cannot show: the tests of Tests/KernelTests, under a kernel that has it."""

import unittest

from kit import uml
from kit.runner import within


class OwnKernel(unittest.TestCase):
    @within(280)
    def test_bounds_are_in_force(self):
        status, said = uml.tests("KernelTests", within=260)
        print(said)
        self.assertEqual(status, 0)
        self.assertRegex(said, r"[1-9]\d* passed, 0 failed, 0 skipped")
