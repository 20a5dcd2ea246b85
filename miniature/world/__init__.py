"""The miniature's world draws scenes of emoji, with exact maps, boxes and captions."""
