"""What several tests share: hosts and servers, small models and sets, label maps, written-out formulas."""
