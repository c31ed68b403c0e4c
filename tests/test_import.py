def test_import() -> None:
    import trimif

    assert trimif.__doc__
