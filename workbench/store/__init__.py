"""What a long run has computed so far, kept on disk so that a killed run can go on where it was."""

from workbench.store.contents import when
from workbench.store.slot import NOWHERE, Slot
from workbench.store.store import Store

__all__ = ["NOWHERE", "Slot", "Store", "when"]
